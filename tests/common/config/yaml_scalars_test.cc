#include "common/config/yaml_scalars.h"

#include <cstdint>
#include <limits>
#include <string>

#include "gmock/gmock.h"
#include "tests/support/status_matchers.h"

namespace penstock {
namespace {

using testing::HasSubstr;

constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;
constexpr int64_t kMin = std::numeric_limits<int64_t>::min();
constexpr int64_t kMax = std::numeric_limits<int64_t>::max();

TEST(ParseYamlBoolTest, TakesTrueAndFalseOnly) {
  EXPECT_THAT(ParseYamlBool("true"), IsOkAndHolds(true));
  EXPECT_THAT(ParseYamlBool("False"), IsOkAndHolds(false));
  EXPECT_THAT(ParseYamlBool("yes"), StatusIs(kInvalid, "wanted true or false, got 'yes'"));
  EXPECT_THAT(ParseYamlBool("1"), StatusIs(kInvalid));
}

TEST(ParseYamlIntTest, TakesTheWholeRange) {
  EXPECT_THAT(ParseYamlInt("-9223372036854775808", kMin, kMax), IsOkAndHolds(kMin));
  EXPECT_THAT(ParseYamlInt("9223372036854775807", kMin, kMax), IsOkAndHolds(kMax));
  EXPECT_THAT(ParseYamlInt("9223372036854775808", kMin, kMax), StatusIs(kInvalid));
  EXPECT_THAT(ParseYamlInt("-9223372036854775809", kMin, kMax), StatusIs(kInvalid));
}

TEST(ParseYamlIntTest, TakesSignsAndHexadecimals) {
  EXPECT_THAT(ParseYamlInt("+7", kMin, kMax), IsOkAndHolds(7));
  EXPECT_THAT(ParseYamlInt("-0x10", kMin, kMax), IsOkAndHolds(-16));
  EXPECT_THAT(ParseYamlInt("0", kMin, kMax), IsOkAndHolds(0));
}

TEST(ParseYamlIntTest, RefusesWhatIsNoPlainInteger) {
  for (const char* text : {"", "-", "0x", "007", "1.0", "1e3", "1_000", " 1", "1 ", "--1", "+-1"}) {
    EXPECT_THAT(ParseYamlInt(text, kMin, kMax), StatusIs(kInvalid)) << text;
  }
}

TEST(ParseYamlIntTest, NamesTheRange) {
  EXPECT_THAT(ParseYamlInt("200", -128, 127),
              StatusIs(kInvalid, "wanted an integer in [-128, 127], got '200'"));
}

TEST(ParseYamlUintTest, RefusesNegativesAndTheTooLarge) {
  EXPECT_THAT(ParseYamlUint("18446744073709551615", UINT64_MAX), IsOkAndHolds(UINT64_MAX));
  EXPECT_THAT(ParseYamlUint("18446744073709551616", UINT64_MAX), StatusIs(kInvalid));
  EXPECT_THAT(ParseYamlUint("-1", UINT64_MAX), StatusIs(kInvalid));
  EXPECT_THAT(ParseYamlUint("4294967296", UINT32_MAX),
              StatusIs(kInvalid, HasSubstr("[0, 4294967295]")));
}

TEST(ParseYamlDoubleTest, TakesFiniteNumbers) {
  EXPECT_THAT(ParseYamlDouble("-1.5e3", 1e308), IsOkAndHolds(-1500.0));
  for (const char* text : {"nan", "inf", ".inf", "1e999", "", " 1", "1,5", "one"}) {
    EXPECT_THAT(ParseYamlDouble(text, std::numeric_limits<double>::max()), StatusIs(kInvalid))
        << text;
  }
}

TEST(ParseYamlDoubleTest, KeepsToTheTypesRange) {
  EXPECT_THAT(ParseYamlDouble("1e39", std::numeric_limits<float>::max()), StatusIs(kInvalid));
}

TEST(ParseYamlDurationTest, TakesUnits) {
  EXPECT_THAT(ParseYamlDuration("0.25s"), IsOkAndHolds(absl::Milliseconds(250)));
  EXPECT_THAT(ParseYamlDuration("250ms"), IsOkAndHolds(absl::Milliseconds(250)));
  EXPECT_THAT(ParseYamlDuration("1m30s"), IsOkAndHolds(absl::Seconds(90)));
  EXPECT_THAT(ParseYamlDuration("0"), IsOkAndHolds(absl::ZeroDuration()));
}

TEST(ParseYamlDurationTest, RefusesWhatHasNoUnitOrNoEndOrIsNegative) {
  for (const char* text : {"5", "", "s", "-1s", "inf", "1 s", "1day"}) {
    EXPECT_THAT(ParseYamlDuration(text), StatusIs(kInvalid)) << text;
  }
}

TEST(NearestWordTest, FindsTheTypo) {
  EXPECT_EQ(NearestWord("nmae", {"name", "replicas", "model"}), "name");
  EXPECT_EQ(NearestWord("maxInFlight", {"max_in_flight", "max_queue"}), "max_in_flight");
}

TEST(NearestWordTest, IsEmptyWhereNothingIsNear) {
  EXPECT_EQ(NearestWord("zebra", {"name", "replicas"}), "");
  EXPECT_EQ(NearestWord(std::string(1 << 20, 'x'), {"name"}), "");
}

}  // namespace
}  // namespace penstock
