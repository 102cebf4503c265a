// What a request does not ask for again after an attempt that failed: the model there, or the
// endpoint with all that it serves.
#include "tests/router_service/pipeline_tests/router_fixture.h"

namespace penstock::router {
namespace {

using absl::StatusCode;
using ::testing::ElementsAreArray;

// One endpoint serves both experts: two models, or one under two names.
constexpr char kTwoModels[] = R"(
pools:
- name: pool
  experts:
  - {name: big, quality: 0.9, replicas: [{address: "host:1"}]}
  - {name: small, quality: 0.8, replicas: [{address: "host:1"}]}
)";
constexpr char kOneModel[] = R"(
pools:
- name: pool
  experts:
  - {name: big, quality: 0.9, replicas: [{address: "host:1"}]}
  - {name: twin, model: big, quality: 0.8, replicas: [{address: "host:1"}]}
)";

struct DeadEndpointCase {
  StatusCode code;
  bool connection_lost;
  std::vector<std::string> of_two_models;  // asked for, in order
  std::vector<std::string> of_one_model;
};

class DeadEndpoint : public RouterFixture, public ::testing::WithParamInterface<DeadEndpointCase> {
 protected:
  // The models that the endpoint is asked for by one request whose attempts all end like the
  // case's.
  std::vector<std::string> AskedFor(const std::string& yaml) {
    Replica("host:1").facts = ModelFacts(0.001, 0.1);
    Build(yaml);
    Target("host:1").AnswerWith(InferReply{.status = absl::Status(GetParam().code, "away"),
                                           .body = {},
                                           .trailers = {},
                                           .connection_lost = GetParam().connection_lost});
    EXPECT_FALSE(Ask(MakeRequest()).status.ok());
    std::vector<std::string> models;
    for (const auto& call : Target("host:1").calls()) {
      const auto header = ScanInferRequest(call->request());
      models.push_back(header.ok() ? header->model_name : header.status().ToString());
    }
    return models;
  }
};

TEST_P(DeadEndpoint, OfTwoModelsTheOtherIsAskedUnlessTheConnectionFailed) {
  EXPECT_THAT(AskedFor(kTwoModels), ElementsAreArray(GetParam().of_two_models));
}

TEST_P(DeadEndpoint, AModelThatIsAwayIsNotAskedUnderAnotherName) {
  EXPECT_THAT(AskedFor(kOneModel), ElementsAreArray(GetParam().of_one_model));
}

INSTANTIATE_TEST_SUITE_P(
    Taxonomy, DeadEndpoint,
    ::testing::Values(
        // The server's own word: it is there.
        DeadEndpointCase{StatusCode::kUnavailable, false, {"big", "small"}, {"big"}},
        DeadEndpointCase{StatusCode::kCancelled, false, {"big", "small"}, {"big"}},
        // The connection's.
        DeadEndpointCase{StatusCode::kUnavailable, true, {"big"}, {"big"}},
        DeadEndpointCase{StatusCode::kCancelled, true, {"big"}, {"big"}},
        // An expert's failure says nothing of where it is.
        DeadEndpointCase{StatusCode::kInternal, false, {"big", "small"}, {"big", "big"}},
        DeadEndpointCase{StatusCode::kNotFound, false, {"big", "small"}, {"big", "big"}},
        DeadEndpointCase{StatusCode::kResourceExhausted, false, {"big", "small"}, {"big", "big"}},
        // The caller's doing is nobody else's.
        DeadEndpointCase{StatusCode::kInvalidArgument, false, {"big"}, {"big"}},
        DeadEndpointCase{StatusCode::kDeadlineExceeded, false, {"big"}, {"big"}}),
    [](const auto& info) {
      return std::string(absl::StatusCodeToString(info.param.code)) +
             (info.param.connection_lost ? "_lost" : "");
    });

// Another replica of the expert is asked whatever the first one's end says of its endpoint.
TEST_F(RouterFixture, AnotherEndpointIsAskedAfterEither) {
  for (const bool lost : {false, true}) {
    for (const char* address : {"host:1", "host:2"}) {
      Replica(address).facts = ModelFacts(0.001, 0.1);
      Target(address).AnswerWith(InferReply{.status = absl::UnavailableError("away"),
                                            .body = {},
                                            .trailers = {},
                                            .connection_lost = lost});
    }
    config_.Clear();
    Build(R"(
pools:
- name: pool
  experts: [{name: big, quality: 0.9, replicas: [{address: "host:1"}, {address: "host:2"}]}]
)");
    const size_t before[] = {Target("host:1").calls().size(), Target("host:2").calls().size()};
    EXPECT_FALSE(Ask(MakeRequest()).status.ok());
    EXPECT_EQ(Target("host:1").calls().size(), before[0] + 1) << lost;
    EXPECT_EQ(Target("host:2").calls().size(), before[1] + 1) << lost;
    catalogue_->Stop();
  }
}

}  // namespace
}  // namespace penstock::router
