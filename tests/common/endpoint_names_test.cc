#include "common/endpoint_names.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "tests/support/status_matchers.h"

namespace penstock {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr absl::Duration kPatience = absl::Seconds(30);

// A resolver under the test's hand, and what was asked of it.
class EndpointNamesTest : public ::testing::Test {
 protected:
  void SetUp() override {
    names_.Start([this] {
      MutexLock lock(mutex_);
      ++rounds_;
      changed_.NotifyAll();
    });
  }
  void TearDown() override { names_.Stop(); }

  void Set(absl::StatusOr<std::vector<std::string>> addresses) {
    MutexLock lock(mutex_);
    addresses_ = std::move(addresses);
  }
  absl::StatusOr<std::vector<std::string>> Resolve(const std::string& host,
                                                   const std::string& port) {
    MutexLock lock(mutex_);
    asked_ = absl::StrCat(host, " ", port);
    return addresses_;
  }
  // Two rounds more: the second one began after this.
  void WaitForRound() {
    const auto until = std::chrono::steady_clock::now() + absl::ToChronoNanoseconds(kPatience);
    MutexLock lock(mutex_);
    const int wanted = rounds_ + 2;
    while (rounds_ < wanted) {
      ASSERT_LT(std::chrono::steady_clock::now(), until);
      names_.AddressesOf("dns:///experts:8201");
      changed_.WaitFor(mutex_, absl::Seconds(1));
    }
  }

  Mutex mutex_;
  CondVar changed_;
  int rounds_ ABSL_GUARDED_BY(mutex_) = 0;
  std::string asked_ ABSL_GUARDED_BY(mutex_);
  absl::StatusOr<std::vector<std::string>> addresses_ ABSL_GUARDED_BY(mutex_) =
      std::vector<std::string>{"10.0.0.1:8201"};
  EndpointNames names_{
      [this](const std::string& host, const std::string& port) { return Resolve(host, port); },
      absl::Milliseconds(5)};
};

TEST_F(EndpointNamesTest, LooksUpWhatItIsAskedForAndAgain) {
  EXPECT_THAT(names_.AddressesOf("dns:///experts:8201"), IsEmpty());
  WaitForRound();
  EXPECT_THAT(names_.AddressesOf("dns:///experts:8201"), ElementsAre("10.0.0.1:8201"));
  Set(std::vector<std::string>{"10.0.0.1:8201", "10.0.0.2:8201"});
  WaitForRound();
  EXPECT_THAT(names_.AddressesOf("dns:///experts:8201"),
              ElementsAre("10.0.0.1:8201", "10.0.0.2:8201"));
  MutexLock lock(mutex_);
  EXPECT_EQ(asked_, "experts 8201");
}

TEST_F(EndpointNamesTest, ALookUpThatFailsOrFindsNothingChangesNothing) {
  names_.AddressesOf("dns:///experts:8201");
  WaitForRound();
  Set(absl::UnavailableError("no server"));
  WaitForRound();
  EXPECT_THAT(names_.AddressesOf("dns:///experts:8201"), ElementsAre("10.0.0.1:8201"));
  Set(std::vector<std::string>());
  WaitForRound();
  EXPECT_THAT(names_.AddressesOf("dns:///experts:8201"), ElementsAre("10.0.0.1:8201"));
}

TEST_F(EndpointNamesTest, HasSoManyAddressesAtMost) {
  std::vector<std::string> many;
  for (int i = 0; i < 100; ++i) many.push_back(absl::StrCat("10.0.1.", i, ":8201"));
  Set(many);
  names_.AddressesOf("dns:///experts:8201");
  WaitForRound();
  EXPECT_THAT(names_.AddressesOf("dns:///experts:8201"), SizeIs(EndpointNames::kMostAddresses));
}

TEST(EndpointNames, TellsNamesFromAddresses) {
  EXPECT_TRUE(EndpointNames::IsName("dns:///experts:8201"));
  EXPECT_FALSE(EndpointNames::IsName("experts:8201"));
  EXPECT_EQ(EndpointNames::HostOf("dns:///experts.svc:8201"), "experts.svc");
  EXPECT_THAT(EndpointNames::Check("experts:8201"), IsOk());
  EXPECT_THAT(EndpointNames::Check("dns:///experts:8201"), IsOk());
  for (const char* wrong : {"dns:///experts", "dns:///:8201", "dns:///experts:0",
                            "dns:///experts:65536", "dns:///experts:grpc"}) {
    EXPECT_THAT(EndpointNames::Check(wrong),
                StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("dns:///NAME:PORT")))
        << wrong;
  }
}

}  // namespace
}  // namespace penstock
