#include "common/config/yaml_config.h"

#include <string>

#include "gmock/gmock.h"
#include "inference/model_config.pb.h"
#include "penstock/config/v1/model.pb.h"
#include "penstock/config/v1/platform.pb.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace penstock {
namespace {

using config::v1::Model;
using config::v1::Platform;
using testing::ElementsAre;
using testing::EndsWith;
using testing::HasSubstr;
using testing::StartsWith;

constexpr auto kInvalid = absl::StatusCode::kInvalidArgument;

// The message of the error that `text` gives as a Platform.
std::string ErrorOf(absl::string_view text) {
  Platform platform;
  const absl::Status status = ReadYaml(text, platform);
  EXPECT_THAT(status, StatusIs(kInvalid));
  return std::string(status.message());
}

TEST(YamlConfigTest, ReadsAllKindsOfFields) {
  Platform platform;
  ASSERT_THAT(ReadYaml(R"(
gateway:
  server: {grpc: "0.0.0.0:8001", threads: 2, max_message_bytes: 0x400, drain: {grace: 250ms, timeout: 1.5s}}
router:
  seed: 18446744073709551615
  learning: off
  trust_plaintext: true
  trusted_gateways: [a, "b"]
  watts_per_core: 12.5
  pools:
  - name: digits
    granularity: row
    gate:
      topk_softmax: {file: gate.safetensors, k: 2}
    classes:
      interactive: {latency_budget_ms: 20, objective: latency}
      batch: {}
    inputs: [{name: x, datatype: FP32, shape: [-1, 784]}]
)",
                       platform),
              IsOk());
  EXPECT_EQ(platform.gateway().server().grpc(), "0.0.0.0:8001");
  EXPECT_EQ(platform.gateway().server().threads(), 2);
  EXPECT_EQ(platform.gateway().server().max_message_bytes(), 1024);
  EXPECT_EQ(platform.gateway().server().drain().grace().nanos(), 250'000'000);
  EXPECT_EQ(platform.gateway().server().drain().timeout().seconds(), 1);
  EXPECT_EQ(platform.gateway().server().drain().timeout().nanos(), 500'000'000);
  EXPECT_EQ(platform.router().seed(), UINT64_MAX);
  EXPECT_EQ(platform.router().learning(), config::v1::Router::OFF);
  EXPECT_TRUE(platform.router().trust_plaintext());
  EXPECT_THAT(platform.router().trusted_gateways(), ElementsAre("a", "b"));
  EXPECT_EQ(platform.router().watts_per_core(), 12.5);
  ASSERT_EQ(platform.router().pools_size(), 1);
  const config::v1::Pool& pool = platform.router().pools(0);
  EXPECT_EQ(pool.granularity(), config::v1::Pool::ROW);
  EXPECT_EQ(pool.gate().topk_softmax().k(), 2);
  EXPECT_EQ(pool.classes().size(), 2);
  EXPECT_EQ(pool.classes().at("interactive").latency_budget_ms(), 20);
  EXPECT_FALSE(pool.classes().at("batch").has_latency_budget_ms());
  EXPECT_THAT(pool.inputs(0).shape(), ElementsAre(-1, 784));
}

TEST(YamlConfigTest, NothingIsAnEmptyMessage) {
  Platform platform;
  platform.mutable_router()->set_seed(1);
  EXPECT_THAT(ReadYaml("", platform), IsOk());
  EXPECT_FALSE(platform.has_router());
  EXPECT_THAT(ReadYaml("# only a comment\n", platform), IsOk());
}

TEST(YamlConfigTest, AKeyWithoutValueIsAnEmptyMessage) {
  Model model;
  ASSERT_THAT(ReadYaml("blocks:\n- mean_pool:\n- softmax: {}\n", model), IsOk());
  EXPECT_TRUE(model.blocks(0).has_mean_pool());
  EXPECT_TRUE(model.blocks(1).has_softmax());
}

TEST(YamlConfigTest, AKeyWithoutValueIsAnEmptyListOrMap) {
  Platform platform;
  ASSERT_THAT(ReadYaml("router: {pools: [{name: a, experts: , classes: }]}", platform), IsOk());
  EXPECT_EQ(platform.router().pools(0).experts_size(), 0);
}

TEST(YamlConfigTest, AScalarWithoutValueIsRefused) {
  EXPECT_EQ(ErrorOf("router:\n  store:\n"), "router.store: has no value (line 2)");
  EXPECT_EQ(ErrorOf("router: {store: null}"), "router.store: has no value (line 1)");
}

TEST(YamlConfigTest, AnUnknownFieldIsNamedWithItsPathAndTheLikelyOne) {
  EXPECT_EQ(ErrorOf("router:\n  pools:\n  - name: a\n    experts:\n    - name: x\n    - nmae: y\n"),
            "router.pools[0].experts[1].nmae: unknown field; did you mean name? (line 6)");
}

TEST(YamlConfigTest, AnUnknownFieldFarFromAllListsThem) {
  EXPECT_EQ(ErrorOf("zebra: 1\n"),
            "zebra: unknown field; fields are gateway, router, expert (line 1)");
}

TEST(YamlConfigTest, AFieldTwiceIsRefused) {
  EXPECT_EQ(ErrorOf("router:\n  seed: 1\n  seed: 2\n"), "router.seed: stands twice (line 3)");
}

TEST(YamlConfigTest, AMapKeyTwiceIsRefused) {
  EXPECT_EQ(ErrorOf("router:\n  pools:\n  - classes:\n      a: {}\n      a: {}\n"),
            "router.pools[0].classes.a: stands twice (line 5)");
  inference::ModelConfig by_integers;
  EXPECT_THAT(
      ReadYaml("dynamic_batching: {priority_queue_policy: {1: {}, 0x1: {}}}", by_integers),
      StatusIs(kInvalid, HasSubstr("dynamic_batching.priority_queue_policy.0x1: stands twice")));
}

TEST(YamlConfigTest, MapsByIntegersAreRead) {
  inference::ModelConfig message;
  ASSERT_THAT(ReadYaml("dynamic_batching: {priority_queue_policy: {7: {max_queue_size: 3}}}\n"
                       "metric_tags: {a: b}\n",
                       message),
              IsOk());
  EXPECT_EQ(message.dynamic_batching().priority_queue_policy().at(7).max_queue_size(), 3);
  EXPECT_EQ(message.metric_tags().at("a"), "b");
  EXPECT_THAT(ReadYaml("dynamic_batching: {priority_queue_policy: {-1: {}}}", message),
              StatusIs(kInvalid, HasSubstr("priority_queue_policy.-1: wanted an integer")));
}

TEST(YamlConfigTest, TwoFieldsOfAOneofAreRefused) {
  EXPECT_EQ(ErrorOf("router: {pools: [{gate: {random: {}, topk_softmax: {}}}]}"),
            "router.pools[0].gate.topk_softmax: only one of topk_softmax, random, dselect_k, comet, "
            "activation, dense_to_sparse, phatgoose, mixer may stand here, and random stands already "
            "(line 1)");
}

TEST(YamlConfigTest, AWrongTypeIsNamedWithWhatWasWanted) {
  EXPECT_EQ(ErrorOf("router: {seed: many}"),
            "router.seed: wanted an integer in [0, 18446744073709551615], got 'many' (line 1)");
  EXPECT_EQ(ErrorOf("router: {seed: [1]}"),
            "router.seed: wanted a single value, got a list (line 1)");
  EXPECT_EQ(ErrorOf("router: {pools: {name: a}}"),
            "router.pools: wanted a list, got keys and values (line 1)");
  EXPECT_EQ(ErrorOf("router: fast"), "router: wanted keys and values, got a single value (line 1)");
  EXPECT_EQ(ErrorOf("- router"), "the file: wanted keys and values, got a list (line 1)");
  EXPECT_EQ(ErrorOf("router: {trust_plaintext: yes}"),
            "router.trust_plaintext: wanted true or false, got 'yes' (line 1)");
  EXPECT_EQ(ErrorOf("router: {pools: [{classes: [a]}]}"),
            "router.pools[0].classes: wanted keys and values, got a list (line 1)");
}

TEST(YamlConfigTest, AQuotedNumberIsText) {
  EXPECT_EQ(ErrorOf("router: {seed: \"1\"}"),
            "router.seed: wanted uint64, got the quoted text '1' (line 1)");
}

TEST(YamlConfigTest, ANumberBeyondItsTypeIsRefused) {
  EXPECT_EQ(ErrorOf("gateway: {server: {threads: 4294967296}}"),
            "gateway.server.threads: wanted an integer in [0, 4294967295], got '4294967296' (line "
            "1)");
}

TEST(YamlConfigTest, AnUnknownEnumValueListsAll) {
  EXPECT_EQ(ErrorOf("router: {learning: maybe}"),
            "router.learning: wanted one of on, off, got 'maybe' (line 1)");
}

TEST(YamlConfigTest, ABadDurationIsRefused) {
  EXPECT_EQ(ErrorOf("gateway: {catalogue_ttl: 5}"),
            "gateway.catalogue_ttl: wanted a duration that is not negative, such as 0.25s or "
            "250ms, got '5' (line 1)");
}

TEST(YamlConfigTest, StringsKeepTheirText) {
  Platform platform;
  ASSERT_THAT(ReadYaml("router: {store: 007, pools: [{name: true}, {name: ''}]}", platform),
              IsOk());
  EXPECT_EQ(platform.router().store(), "007");
  EXPECT_EQ(platform.router().pools(0).name(), "true");
  EXPECT_EQ(platform.router().pools(1).name(), "");
}

TEST(YamlConfigTest, AnchorsAreFollowed) {
  Platform platform;
  ASSERT_THAT(ReadYaml("gateway: {server: &s {threads: 3}}\nexpert: {server: *s}\n", platform),
              IsOk());
  EXPECT_EQ(platform.expert().server().threads(), 3);
}

TEST(YamlConfigTest, BrokenSyntaxIsRefusedWithItsPlace) {
  EXPECT_THAT(ErrorOf("router:\n  pools: [\n"), StartsWith("line 3"));
  EXPECT_THAT(ErrorOf("a: b: c"), StartsWith("line 1, column 5"));
}

TEST(YamlConfigTest, TwoDocumentsAreRefused) {
  EXPECT_EQ(ErrorOf("router: {}\n---\nrouter: {}\n"),
            "the file: wanted one YAML document, got more (line 2)");
}

// yaml-cpp alone would make empty documents of these until memory ends.
TEST(YamlConfigTest, AStrayBracketIsRefused) {
  EXPECT_THAT(ErrorOf(", \"a\"]"), HasSubstr("wanted one YAML document"));
  EXPECT_THAT(ErrorOf("router: {}\n]"), HasSubstr("line 2"));
}

TEST(YamlConfigTest, AStringThatIsNotUtf8IsRefused) {
  EXPECT_EQ(ErrorOf("router: {store: \"a\xC3(\"}"), "router.store: is not UTF-8 (line 1)");
}

TEST(YamlConfigTest, ADeepFileIsRefused) {
  std::string text = "router: {pools: ";
  for (int i = 0; i < 10'000; ++i) text += "[";
  Platform platform;
  EXPECT_THAT(ReadYaml(text, platform), StatusIs(kInvalid));
}

// 400 pools of 400 experts each, in a few kilobytes.
TEST(YamlConfigTest, AliasesThatMultiplyAreRefused) {
  std::string text = "router:\n  pools:\n  - &pool\n    experts:\n    - &expert {name: x}\n";
  for (int i = 0; i < 400; ++i) text += "    - *expert\n";
  for (int i = 0; i < 400; ++i) text += "  - *pool\n";
  EXPECT_THAT(ErrorOf(text), HasSubstr("too many values"));
}

TEST(YamlConfigTest, AFileNameStandsInFront) {
  TempDir dir;
  const std::string path = dir.Write("platform.yaml", "router: {seed: x}\n");
  Platform platform;
  EXPECT_THAT(ReadYamlFile(path, platform),
              StatusIs(kInvalid,
                       testing::AllOf(StartsWith(path + ": router.seed: "), EndsWith("(line 1)"))));
  EXPECT_THAT(ReadYamlFile(dir.File("absent.yaml"), platform),
              StatusIs(absl::StatusCode::kNotFound, HasSubstr("absent.yaml")));
}

}  // namespace
}  // namespace penstock
