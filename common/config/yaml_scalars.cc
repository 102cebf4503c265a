#include "common/config/yaml_scalars.h"

#include <algorithm>
#include <cmath>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace penstock {
namespace {

absl::Status Wanted(absl::string_view what, absl::string_view text) {
  return absl::InvalidArgumentError(
      absl::StrCat("wanted ", what, ", got '", text.substr(0, 64), "'"));
}

bool IsHex(absl::string_view digits) {
  return absl::StartsWithIgnoreCase(digits, "0x") && digits.size() > 2 &&
         std::all_of(digits.begin() + 2, digits.end(), absl::ascii_isxdigit);
}

bool IsDecimal(absl::string_view digits) {
  // 007 is 7 to some YAML readers and octal to others.
  if (digits.empty() || (digits.size() > 1 && digits[0] == '0')) return false;
  return std::all_of(digits.begin(), digits.end(), absl::ascii_isdigit);
}

// False: no number, or one beyond 64 bits.
bool ParseMagnitude(absl::string_view digits, uint64_t& value) {
  if (IsHex(digits)) return absl::SimpleHexAtoi(digits, &value);
  return IsDecimal(digits) && absl::SimpleAtoi(digits, &value);
}

// Letters to insert, drop, replace or swap with their neighbour.
size_t Distance(absl::string_view a, absl::string_view b) {
  std::vector<std::vector<size_t>> cost(a.size() + 1, std::vector<size_t>(b.size() + 1));
  for (size_t i = 0; i <= a.size(); ++i) cost[i][0] = i;
  for (size_t j = 0; j <= b.size(); ++j) cost[0][j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t replaced = cost[i - 1][j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
      cost[i][j] = std::min({cost[i - 1][j] + 1, cost[i][j - 1] + 1, replaced});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
        cost[i][j] = std::min(cost[i][j], cost[i - 2][j - 2] + 1);
      }
    }
  }
  return cost[a.size()][b.size()];
}

}  // namespace

absl::StatusOr<bool> ParseYamlBool(absl::string_view text) {
  if (absl::EqualsIgnoreCase(text, "true")) return true;
  if (absl::EqualsIgnoreCase(text, "false")) return false;
  return Wanted("true or false", text);
}

absl::StatusOr<int64_t> ParseYamlInt(absl::string_view text, int64_t min, int64_t max) {
  const std::string what = absl::StrCat("an integer in [", min, ", ", max, "]");
  const bool negative = absl::StartsWith(text, "-");
  absl::string_view digits = text;
  if (negative || absl::StartsWith(text, "+")) digits.remove_prefix(1);
  uint64_t magnitude = 0;
  if (!ParseMagnitude(digits, magnitude)) return Wanted(what, text);
  constexpr uint64_t kMinMagnitude = uint64_t{1} << 63;
  if (negative ? magnitude > kMinMagnitude : magnitude >= kMinMagnitude) return Wanted(what, text);
  const int64_t value = static_cast<int64_t>(negative ? -magnitude : magnitude);
  if (value < min || value > max) return Wanted(what, text);
  return value;
}

absl::StatusOr<uint64_t> ParseYamlUint(absl::string_view text, uint64_t max) {
  absl::string_view digits = text;
  if (absl::StartsWith(text, "+")) digits.remove_prefix(1);
  uint64_t value = 0;
  if (!ParseMagnitude(digits, value) || value > max) {
    return Wanted(absl::StrCat("an integer in [0, ", max, "]"), text);
  }
  return value;
}

absl::StatusOr<double> ParseYamlDouble(absl::string_view text, double max) {
  double value = 0;
  // SimpleAtod strips blanks; a quoted scalar may have them.
  if (text.empty() || absl::ascii_isspace(text.front()) || absl::ascii_isspace(text.back()) ||
      !absl::SimpleAtod(text, &value) || !std::isfinite(value) || std::abs(value) > max) {
    return Wanted("a finite number", text);
  }
  return value;
}

absl::StatusOr<absl::Duration> ParseYamlDuration(absl::string_view text) {
  // absl reads a lone 0 without a unit too.
  absl::Duration value;
  if (!absl::ParseDuration(text, &value) || value == absl::InfiniteDuration() ||
      value < absl::ZeroDuration()) {
    return Wanted("a duration that is not negative, such as 0.25s or 250ms", text);
  }
  return value;
}

absl::StatusOr<const google::protobuf::EnumValueDescriptor*> ParseYamlEnum(
    absl::string_view text, const google::protobuf::EnumDescriptor& type) {
  std::vector<std::string> names;
  for (int i = 0; i < type.value_count(); ++i) {
    if (absl::EqualsIgnoreCase(type.value(i)->name(), text)) return type.value(i);
    names.push_back(absl::AsciiStrToLower(type.value(i)->name()));
  }
  return Wanted(absl::StrCat("one of ", absl::StrJoin(names, ", ")), text);
}

std::string NearestWord(absl::string_view word, const std::vector<std::string>& candidates) {
  constexpr size_t kLongest = 64;  // no field's name is longer, and the distance costs a product
  if (word.size() > kLongest) return "";
  const std::string folded = absl::AsciiStrToLower(word);
  std::string nearest;
  size_t least = std::max<size_t>(1, word.size() / 3) + 1;
  for (const std::string& candidate : candidates) {
    const size_t distance = Distance(folded, absl::AsciiStrToLower(candidate));
    if (distance >= least) continue;
    least = distance;
    nearest = candidate;
  }
  return nearest;
}

}  // namespace penstock
