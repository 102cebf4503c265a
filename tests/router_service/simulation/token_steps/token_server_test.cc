#include "router_service/simulation/token_steps/token_server.h"

#include <algorithm>
#include <cmath>

#include "common/random.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace penstock::router {
namespace {

using testing::ElementsAre;

struct Timed {
  double at_s = 0;
  TokenRequest request;
};

struct Finished {
  uint32_t number = 0;
  double at_s = 0;
  double started_s = 0;
  double joules = 0;
};

TokenProfile Profile(uint32_t batch_limit) {
  TokenProfile profile;
  profile.batch_limit = batch_limit;
  profile.joules_per_prompt_token = 0.5;
  profile.steps = {{1, 0.01, 2}, {4, 0.016, 5}};
  profile.prefills = {{10, 0.02}, {100, 0.07}};
  return profile;
}

std::vector<Timed> RandomRequests(uint64_t seed, size_t requests, double mean_gap_s) {
  std::vector<Timed> timed;
  double at = 0;
  for (uint32_t i = 0; i < requests; ++i) {
    CounterRandom random(seed, i);
    at += -std::log1p(-random.Uniform()) * mean_gap_s;
    timed.push_back({at, {i, 1 + 80 * random.Uniform(), 1 + random.Below(12)}});
  }
  return timed;
}

std::vector<Finished> Serve(const TokenProfile& profile, const std::vector<Timed>& requests) {
  TokenServer server(profile);
  std::vector<Finished> finished;
  std::vector<TokenAnswer> answers;
  const auto advance = [&] {
    const double now = server.next_s();
    answers.clear();
    server.Advance(answers);
    for (const TokenAnswer& a : answers) finished.push_back({a.number, now, a.started_s, a.joules});
  };
  for (const Timed& timed : requests) {
    while (server.next_s() <= timed.at_s) advance();
    server.Arrive(timed.at_s, timed.request);
    EXPECT_LE(server.running(), profile.batch_limit);
  }
  while (server.next_s() != TokenServer::kNever) {
    advance();
    EXPECT_LE(server.running(), profile.batch_limit);
  }
  EXPECT_EQ(server.in_system(), 0);
  return finished;
}

// The same, a token at a time.
std::vector<Finished> ServeTokenByToken(const TokenProfile& profile,
                                        const std::vector<Timed>& requests) {
  struct Running {
    Finished so_far;
    uint64_t tokens_left = 0;
  };
  std::vector<Running> running;
  std::vector<Finished> finished;
  size_t next = 0;
  double now = 0;
  const auto give_token = [&](size_t from, double joules_each) {
    for (size_t i = from; i < running.size(); ++i) {
      --running[i].tokens_left;
      running[i].so_far.joules += joules_each;
      running[i].so_far.at_s = now;
    }
    for (size_t i = 0; i < running.size();) {
      if (running[i].tokens_left > 0) {
        ++i;
        continue;
      }
      finished.push_back(running[i].so_far);
      running.erase(running.begin() + static_cast<std::ptrdiff_t>(i));
    }
  };
  while (next < requests.size() || !running.empty()) {
    const size_t before = running.size();
    double prompts = 0;
    while (next < requests.size() && requests[next].at_s <= now &&
           running.size() < profile.batch_limit) {
      const TokenRequest& request = requests[next++].request;
      prompts += request.prompt_tokens;
      running.push_back(
          {{request.number, 0, now, 0.5 * request.prompt_tokens}, request.output_tokens});
    }
    const double batch = static_cast<double>(running.size());
    if (running.size() > before) {
      now += profile.PrefillSeconds(prompts);
      give_token(before, 0);
    } else if (!running.empty()) {
      now += profile.StepSeconds(batch);
      give_token(0, profile.StepJoules(batch) / batch);
    } else {
      now = requests[next].at_s;
    }
  }
  return finished;
}

TEST(TokenServerTest, AgreesWithAServerThatGoesTokenByToken) {
  size_t compared = 0;
  for (uint64_t seed = 1; seed <= 200; ++seed) {
    const TokenProfile profile = Profile(1 + static_cast<uint32_t>(seed % 5));
    // From nearly idle to overloaded.
    const auto requests = RandomRequests(seed, 60, 0.01 * static_cast<double>(1 + seed % 13));
    const auto expected = ServeTokenByToken(profile, requests);
    const auto actual = Serve(profile, requests);
    ASSERT_EQ(actual.size(), expected.size());
    for (size_t i = 0; i < actual.size(); ++i) {
      ASSERT_EQ(actual[i].number, expected[i].number) << "seed " << seed;
      ASSERT_NEAR(actual[i].at_s, expected[i].at_s, 1e-9);
      ASSERT_NEAR(actual[i].started_s, expected[i].started_s, 1e-9);
      ASSERT_NEAR(actual[i].joules, expected[i].joules, 1e-9);
      ++compared;
    }
  }
  EXPECT_EQ(compared, 200 * 60);
}

TEST(TokenServerTest, EveryRequestFinishesOnceInOrderOfAdmission) {
  const auto requests = RandomRequests(7, 500, 0.015);
  auto finished = Serve(Profile(3), requests);
  std::sort(finished.begin(), finished.end(),
            [](const Finished& a, const Finished& b) { return a.number < b.number; });
  ASSERT_EQ(finished.size(), requests.size());
  bool waited = false;
  for (uint32_t i = 0; i < finished.size(); ++i) {
    ASSERT_EQ(finished[i].number, i);
    ASSERT_GE(finished[i].started_s, requests[i].at_s);
    waited |= finished[i].started_s > requests[i].at_s + 0.1;
    ASSERT_GE(finished[i].started_s, finished[i > 0 ? i - 1 : 0].started_s);
  }
  EXPECT_TRUE(waited);
}

TEST(TokenServerTest, ARequestAloneTakesItsUnloadedTime) {
  const TokenProfile profile = Profile(4);
  const auto finished = Serve(profile, {{5, {0, 10, 8}}});
  ASSERT_EQ(finished.size(), 1);
  EXPECT_NEAR(finished[0].at_s, 5 + 0.02 + 7 * 0.01, 1e-12);
  EXPECT_NEAR(finished[0].at_s - 5, profile.UnloadedSeconds(10, 8), 1e-12);
  EXPECT_NEAR(finished[0].joules, 0.5 * 10 + 7 * 2, 1e-12);
}

TEST(TokenServerTest, ALateComerIsAdmittedWhenTheStepUnderWayEnds) {
  // The first is read until 0.02 and then steps each 0.01 s; the second comes in the third step, is
  // read from 0.05 to 0.07, and both then step each 0.012 s.
  const auto finished = Serve(Profile(4), {{0, {0, 10, 6}}, {0.045, {1, 10, 3}}});
  ASSERT_EQ(finished.size(), 2);
  EXPECT_NEAR(finished[0].at_s, 0.07 + 2 * 0.012, 1e-12);
  EXPECT_NEAR(finished[0].started_s, 0, 1e-12);
  EXPECT_NEAR(finished[1].at_s, 0.07 + 2 * 0.012, 1e-12);
  EXPECT_NEAR(finished[1].started_s, 0.05, 1e-12);
}

TEST(TokenServerTest, BeyondTheBatchLimitRequestsWait) {
  const auto finished = Serve(Profile(1), {{0, {0, 10, 2}}, {0.001, {1, 10, 1}}});
  ASSERT_EQ(finished.size(), 2);
  EXPECT_NEAR(finished[1].started_s, 0.03, 1e-12);
  EXPECT_NEAR(finished[1].at_s, 0.05, 1e-12);
}

TEST(TokenProfileTest, LinesGoThroughThePointsAndOn) {
  const TokenProfile profile = Profile(1);
  EXPECT_DOUBLE_EQ(profile.StepSeconds(1), 0.01);
  EXPECT_DOUBLE_EQ(profile.StepSeconds(2), 0.012);
  EXPECT_DOUBLE_EQ(profile.StepSeconds(7), 0.022);
  EXPECT_DOUBLE_EQ(profile.StepJoules(4), 5);
  EXPECT_DOUBLE_EQ(profile.PrefillSeconds(55), 0.045);
  EXPECT_DOUBLE_EQ(TokenProfile().PrefillSeconds(55), 0);
}

TEST(TokenProfileTest, CapacityIsOfAFullBatch) {
  TokenProfile profile = Profile(4);
  profile.servers = 2;
  // A request's prefill, and its quarter of 8 steps.
  EXPECT_DOUBLE_EQ(profile.Capacity(10, 9), 2 / (0.02 + 8 * 0.016 / 4));
}

}  // namespace
}  // namespace penstock::router
