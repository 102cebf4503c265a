#include "gateway/forwarding/router_connector.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "tests/support/status_matchers.h"

namespace penstock::gateway {
namespace {

// Nobody listens there: connections are tried, and that is all that is looked at.
config::v1::Gateway With(const std::vector<std::string>& addresses) {
  config::v1::Gateway config;
  for (const std::string& address : addresses) config.add_routers()->set_address(address);
  return config;
}

class RouterConnectorTest : public ::testing::Test {
 protected:
  RouterSet::Routers Connect(const std::vector<std::string>& addresses) {
    auto routers = connector_.Connect(With(addresses));
    EXPECT_THAT(routers.status(), IsOk());
    return *std::move(routers);
  }

  ClientQueues queues_{1};
  // Never started: nobody looks anything up.
  EndpointNames names_{[](const std::string&, const std::string&) {
    return std::vector<std::string>();
  }};
  RouterConnector connector_{queues_, 1 << 20, nullptr, names_, [](int) {}};
};

TEST_F(RouterConnectorTest, WhatIsRefusedAfterItWasConnectedLeavesNothing) {
  RouterSet::Routers serving = Connect({"localhost:1"});
  connector_.Serve(serving);
  RouterSet::Routers refused = Connect({"localhost:1", "localhost:2"});
  EXPECT_EQ(refused[0], serving[0]);
  const std::weak_ptr<const Router> added = refused[1];
  refused.clear();
  EXPECT_TRUE(added.expired());
}

TEST_F(RouterConnectorTest, WhatServesStaysAndWhatDoesNotAnyMoreLeaves) {
  RouterSet::Routers first = Connect({"localhost:1", "localhost:2"});
  connector_.Serve(first);
  const std::weak_ptr<const Router> leaves = first[0], stays = first[1];
  RouterSet::Routers next = Connect({"localhost:2", "localhost:3"});
  connector_.Serve(next);
  first.clear();
  EXPECT_TRUE(leaves.expired());
  EXPECT_EQ(next[0], stays.lock());
  // They are known by now, whoever else holds them.
  const std::weak_ptr<const Router> came = next[1];
  next.clear();
  EXPECT_EQ(Connect({"localhost:3"})[0], came.lock());
}

TEST_F(RouterConnectorTest, WhatIsStagedStaysItselfWhateverElseIsConnected) {
  RouterSet::Routers serving = Connect({"localhost:1"});
  connector_.Serve(serving);
  RouterSet::Routers staged = Connect({"localhost:2"});
  // As after a round of look-ups.
  connector_.Serve(Connect({"localhost:1"}));
  EXPECT_EQ(Connect({"localhost:2"})[0], staged[0]);
}

TEST_F(RouterConnectorTest, ANameThatIsNotKnownYetStandsForNobody) {
  EXPECT_THAT(Connect({"dns:///routers:1", "localhost:2"}), testing::SizeIs(1));
}

TEST_F(RouterConnectorTest, AnEndpointThatCannotBeIsRefusedByItsField) {
  config::v1::Gateway config = With({"localhost:1"});
  config.mutable_routers(0)->mutable_keepalive_time()->set_nanos(1);
  EXPECT_THAT(connector_.Connect(config).status(),
              StatusIs(absl::StatusCode::kInvalidArgument, testing::HasSubstr("keepalive_time")));
}

}  // namespace
}  // namespace penstock::gateway
