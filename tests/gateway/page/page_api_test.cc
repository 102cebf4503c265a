#include "gateway/page/page_api.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/config/yaml_config.h"
#include "tests/support/fake_clock.h"
#include "tests/support/fake_timers.h"

namespace penstock::gateway {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using nlohmann::json;

// Tells every caller's rights back.
class FakeView final : public PlatformView {
 public:
  void ListPools(const Principal& caller, Done<v1::ListPoolsResponse> done) override {
    asked.push_back(absl::StrCat("pools ", caller.rights.ToMetadata()));
    if (!status.ok()) return done(status);
    v1::ListPoolsResponse response;
    auto& pool = *response.add_pools();
    pool.set_name("<b>digits</b>");
    pool.set_requests(9'007'199'254'740'993);
    done(response);
  }
  void ListExperts(const Principal& caller, const std::string& pool,
                   Done<v1::ListExpertsResponse> done) override {
    asked.push_back(absl::StrCat("experts ", caller.rights.ToMetadata(), " of ", pool));
    done(v1::ListExpertsResponse());
  }
  void GetBudgets(const Principal& caller, Done<v1::GetBudgetResponse> done) override {
    asked.push_back(absl::StrCat("budgets ", caller.rights.ToMetadata()));
    done(v1::GetBudgetResponse());
  }
  Routers routers() const override { return {3, 2}; }

  absl::Status status;
  std::vector<std::string> asked;
};

class PageApiTest : public ::testing::Test {
 protected:
  // Keys "a" (everything), "b" (pool digits) and "c" (administers digits), by their SHA-256.
  void Make(bool open = false) {
    config::v1::ApiKeys keys;
    ASSERT_TRUE(ReadYaml(R"(keys:
- sha256: ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb
  tenant: root
  admin: true
- sha256: 3e23e8160039594a33894f6564e1b1348bbd7a0088d42c4acb73eeaed59c009d
  tenant: user
  pools: [digits]
- sha256: 2e7d2c03a9507ae265ecf5b5356885a53393a2029d241394997265a1a25aefc6
  tenant: lead
  admin: true
  pools: [digits]
)", keys).ok());
    auto authenticator = open ? Authenticator::Create(config::v1::Identity(), clock_, nullptr)
                              : Authenticator::FromKeys(keys, clock_);
    ASSERT_TRUE(authenticator.ok()) << authenticator.status();
    authenticator_ = *std::move(authenticator);
    api_ = std::make_unique<PageApi>(PageApi::Deps{
        view_, *authenticator_, feed_, clock_, [this] { return serving_; },
        [this](const Principal& who, const HttpRequest& from, const absl::Status& status) {
          audit_.push_back(absl::StrCat(who.tenant, " ", from.Parameter("pool"), " ",
                                        absl::StatusCodeToString(status.code())));
        },
        "1.2.3", "page.test:80"});
  }
  // "PATH?QUERY" with a key; the newest answer, or none.
  HttpResponse Get(const std::string& target, const std::string& key = "",
                   const std::string& host = "localhost:1") {
    const auto request = ParseHttpHead(absl::StrCat(
        "GET ", target, " HTTP/1.1\r\nHost: ", host, "\r\n",
        key.empty() ? "" : absl::StrCat("Authorization: Bearer ", key, "\r\n"), "\r\n"));
    EXPECT_TRUE(request.ok()) << request.status();
    HttpRequest taken = *request;
    taken.to_loopback = to_loopback_;
    api_->Handle(taken, HttpResponder(mailbox_, 1));
    return Answer();
  }
  HttpResponse Answer() {
    HttpResponse response;
    response.status = 0;
    for (auto& answer : mailbox_->Take()) response = answer.make();
    return response;
  }
  static json Body(const HttpResponse& response) {
    EXPECT_TRUE(absl::StartsWith(response.content_type, "application/json")) << response.body;
    return json::parse(response.body);
  }
  void Decide(const std::string& pool, const std::string& id) {
    v1::Decision decision;
    decision.set_pool(pool);
    decision.set_id(id);
    decision.mutable_features()->add_values(1);
    feed_->Push(Bytes(decision.SerializeAsString()));
  }

  FakeClock clock_;
  FakeTimers timers_{clock_};
  FakeView view_;
  const std::shared_ptr<DecisionFeed> feed_ =
      std::make_shared<DecisionFeed>(clock_, timers_, DecisionFeed::Limits());
  const std::shared_ptr<HttpMailbox> mailbox_ = std::make_shared<HttpMailbox>([] {});
  bool serving_ = true;
  bool to_loopback_ = true;
  std::vector<std::string> audit_;
  std::unique_ptr<Authenticator> authenticator_;
  std::unique_ptr<PageApi> api_;
};

TEST_F(PageApiTest, NothingOfThePlatformIsAnybodys) {
  Make();
  for (const char* what : {"summary", "pools", "experts", "budgets", "decisions", "absent"}) {
    for (const char* key : {"", "wrong"}) {
      const HttpResponse refused = Get(absl::StrCat("/api/", what), key);
      EXPECT_EQ(refused.status, 401) << what;
      EXPECT_EQ(Body(refused)["code"], "UNAUTHENTICATED");
      EXPECT_THAT(std::string(Body(refused)["message"]), testing::Not(IsEmpty()));
    }
  }
  EXPECT_THAT(view_.asked, IsEmpty());
  EXPECT_EQ(Get("/").status, 200);
  EXPECT_EQ(Get("/healthz").status, 200);
}

TEST_F(PageApiTest, EachCallerIsAskedForWithItsOwnRights) {
  Make();
  EXPECT_EQ(Get("/api/pools", "b").status, 200);
  EXPECT_EQ(Get("/api/experts?pool=digits", "b").status, 200);
  EXPECT_EQ(Get("/api/budgets", "a").status, 200);
  EXPECT_THAT(view_.asked,
              ElementsAre("pools pool=digits", "experts pool=digits of digits", "budgets admin"));
  const HttpResponse other = Get("/api/experts?pool=letters", "b");
  EXPECT_EQ(other.status, 403);
  EXPECT_EQ(Body(other)["code"], "PERMISSION_DENIED");
  EXPECT_EQ(view_.asked.size(), 3u);
}

TEST_F(PageApiTest, APoolThatIsNoUtf8IsNotAskedFor) {
  Make();
  const HttpResponse refused = Get("/api/experts?pool=%ff", "a");
  EXPECT_EQ(refused.status, 400);
  EXPECT_THAT(std::string(Body(refused)["message"]), HasSubstr("pool: wanted UTF-8"));
  EXPECT_THAT(view_.asked, IsEmpty());
  EXPECT_EQ(Get("/api/experts?pool=%ff").status, 401);
}

TEST_F(PageApiTest, WithoutIdentityEverybodyIsAnonymousAndNoAdministrator) {
  Make(/*open=*/true);
  EXPECT_EQ(Get("/api/pools").status, 200);
  EXPECT_EQ(Body(Get("/api/summary"))["tenant"], "anonymous");
  EXPECT_EQ(Body(Get("/api/summary"))["admin"], false);
  EXPECT_EQ(Get("/api/decisions").status, 403);
}

TEST_F(PageApiTest, AnswersAreProtobufsJsonWithExactCountsAndHostileNames) {
  Make();
  const json pools = Body(Get("/api/pools", "a"))["pools"];
  ASSERT_EQ(pools.size(), 1u);
  EXPECT_EQ(pools[0]["name"], "<b>digits</b>");
  EXPECT_EQ(pools[0]["requests"], "9007199254740993");
  EXPECT_EQ(pools[0]["p99_ms"], 0.0);
  EXPECT_EQ(pools[0]["ready"], false);
}

TEST_F(PageApiTest, RoutersErrorsKeepTheirCodes) {
  Make();
  const std::map<absl::StatusCode, int> kStatuses = {
      {absl::StatusCode::kUnavailable, 503},      {absl::StatusCode::kDeadlineExceeded, 504},
      {absl::StatusCode::kNotFound, 404},         {absl::StatusCode::kInvalidArgument, 400},
      {absl::StatusCode::kPermissionDenied, 403}, {absl::StatusCode::kResourceExhausted, 429},
      {absl::StatusCode::kInternal, 500}};
  for (const auto& [code, status] : kStatuses) {
    view_.status = absl::Status(code, "why \xff");
    const HttpResponse answer = Get("/api/pools", "a");
    EXPECT_EQ(answer.status, status);
    EXPECT_EQ(Body(answer)["code"], absl::StatusCodeToString(code));
    EXPECT_THAT(std::string(Body(answer)["message"]), HasSubstr("why "));
  }
}

TEST_F(PageApiTest, DecisionsWantTheAdminRightAndShowThePoolsThatOneMaySee) {
  Make();
  EXPECT_EQ(Get("/api/decisions", "b").status, 403);
  const json start = Body(Get("/api/decisions", "a"));
  EXPECT_THAT(start["decisions"], IsEmpty());
  Decide("digits", "1");
  Decide("letters", "2");
  const auto ids = [this](const std::string& target, const std::string& key) {
    const json answer = Body(Get(target, key));
    std::vector<std::string> found;
    for (const json& each : answer["decisions"]) found.push_back(each["id"]);
    return found;
  };
  const std::string since = absl::StrCat("after=", start["next"].get<uint64_t>());
  EXPECT_THAT(ids("/api/decisions?" + since, "a"), ElementsAre("1", "2"));
  EXPECT_THAT(ids("/api/decisions?pool=letters&" + since, "a"), ElementsAre("2"));
  EXPECT_THAT(ids("/api/decisions?" + since, "c"), ElementsAre("1"));
  EXPECT_EQ(Get("/api/decisions?pool=letters", "c").status, 403);
  // What only machines read is not sent.
  EXPECT_TRUE(Body(Get("/api/decisions", "a"))["decisions"][0]["features"].is_null());
}

TEST_F(PageApiTest, OneAnswerShowsTheNewestDecisionsAndCountsTheRest) {
  Make();
  const json start = Body(Get("/api/decisions", "a"));
  for (int i = 0; i < 250; ++i) Decide("digits", absl::StrCat(i));
  const json all =
      Body(Get(absl::StrCat("/api/decisions?after=", start["next"].get<uint64_t>()), "a"));
  EXPECT_EQ(all["decisions"].size(), 100u);
  EXPECT_EQ(all["decisions"][99]["id"], "249");
  EXPECT_EQ(all["missed"], 150);
}

TEST_F(PageApiTest, ARequestForDecisionsWaitsForOne) {
  Make();
  const json start = Body(Get("/api/decisions", "a"));
  const std::string next =
      absl::StrCat("/api/decisions?wait=5&after=", start["next"].get<uint64_t>());
  EXPECT_EQ(Get(next, "a").status, 0);
  Decide("digits", "1");
  EXPECT_EQ(Body(Answer())["decisions"][0]["id"], "1");
  for (const char* bad : {"wait=11", "wait=-1", "wait=nan", "wait=x", "after=-1", "after=x"}) {
    const HttpResponse refused = Get(absl::StrCat("/api/decisions?", bad), "a");
    EXPECT_EQ(refused.status, 400) << bad;
    EXPECT_THAT(std::string(Body(refused)["message"]), HasSubstr(": wanted "));
  }
}

TEST_F(PageApiTest, WhoWatchesIsWrittenDownOnceAndAgainAfterAWhile) {
  Make();
  for (int i = 0; i < 3; ++i) {
    Get("/api/decisions", "a");
    Get("/api/decisions", "b");
  }
  EXPECT_THAT(audit_, ElementsAre("root  OK", "user  PERMISSION_DENIED"));
  clock_.Advance(absl::Minutes(10));
  Get("/api/decisions", "a");
  EXPECT_EQ(audit_.size(), 3u);
}

TEST_F(PageApiTest, EveryAnswerForbidsWhatIsNotOurs) {
  Make();
  for (const char* target : {"/", "/page.js", "/page.css", "/api/pools", "/healthz", "/absent"}) {
    const HttpResponse answer = Get(target, "a");
    std::map<std::string, std::string> headers(answer.headers.begin(), answer.headers.end());
    EXPECT_EQ(headers["Cache-Control"], "no-store") << target;
    EXPECT_EQ(headers["X-Content-Type-Options"], "nosniff");
    EXPECT_THAT(headers["Content-Security-Policy"], HasSubstr("default-src 'none'"));
    EXPECT_THAT(headers["Content-Security-Policy"], HasSubstr("frame-ancestors 'none'"));
    EXPECT_THAT(headers["Content-Security-Policy"], testing::Not(HasSubstr("unsafe")));
    EXPECT_EQ(headers.count("Access-Control-Allow-Origin"), 0u);
  }
  EXPECT_EQ(Get("/absent").status, 404);
  EXPECT_EQ(Get("/api/absent", "a").status, 404);
  EXPECT_EQ(Get("/page.html/..").status, 404);
}

TEST_F(PageApiTest, OverTheLoopbackAddressAStrangersNameIsRefused) {
  Make();
  for (const char* host : {"localhost", "LOCALHOST:8000", "127.0.0.1:8000", "[::1]:8000", "[::1]",
                           "page.test:80", "a.localhost"}) {
    EXPECT_EQ(Get("/healthz", "", host).status, 200) << host;
  }
  for (const char* host : {"evil.test", "evil.test:8000", "localhost.evil.test",
                           "127.0.0.1.evil.test", "evil.test:localhost"}) {
    EXPECT_EQ(Get("/api/pools", "a", host).status, 421) << host;
  }
  to_loopback_ = false;
  EXPECT_EQ(Get("/healthz", "", "anything.test").status, 200);
}

TEST_F(PageApiTest, SaysWhetherItServesAndWhoAsks) {
  Make();
  serving_ = false;
  EXPECT_EQ(Get("/healthz").status, 503);
  const json summary = Body(Get("/api/summary", "c"));
  EXPECT_EQ(summary["serving"], false);
  EXPECT_EQ(summary["tenant"], "lead");
  EXPECT_EQ(summary["admin"], true);
  EXPECT_THAT(summary["pools"], ElementsAre("digits"));
  EXPECT_EQ(summary["routers"]["configured"], 3);
  EXPECT_EQ(summary["routers"]["healthy"], 2);
  EXPECT_EQ(summary["version"], "1.2.3");
}

}  // namespace
}  // namespace penstock::gateway
