// The built binaries on small files: what a newcomer gets wrong, and what he is told.

#include <map>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/random.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "tests/integration/process.h"
#include "tests/support/temp_dir.h"

namespace penstock {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using Arguments = std::vector<std::string>;

struct Outcome {
  int exit_code = 0;
  std::string output;
};

Outcome RunBinary(const std::string& binary, Arguments arguments) {
  arguments.insert(arguments.begin(), std::string(PENSTOCK_BIN_DIR) + "/" + binary);
  Outcome outcome;
  outcome.exit_code = RunCommand(arguments, outcome.output);
  return outcome;
}
Outcome Penstock(Arguments arguments) { return RunBinary("penstock", std::move(arguments)); }

Arguments operator+(Arguments left, const Arguments& right) {
  left.insert(left.end(), right.begin(), right.end());
  return left;
}

// `small` is right where the first feature is below 0, and says how sure it is; `large` mostly is.
std::string Table() {
  std::string lines;
  CounterRandom random(1, 0);
  for (int row = 0; row < 200; ++row) {
    const double x = 2 * random.Uniform() - 1, y = random.Uniform();
    const bool easy = x < 0;
    absl::StrAppend(&lines, R"({"id": )", row, R"(, "features": [)", x, ", ", y, R"(], "experts": {)",
                    R"("small": {"quality": )", easy ? 1 : 0, R"(, "joules": 0.1, "confidence": [)",
                    easy ? 0.9 : 0.5, R"(, 0.05]}, "large": {"quality": )", y < 0.9 ? 1 : 0,
                    R"(, "joules": 1, "confidence": [)", y < 0.9 ? 0.95 : 0.6, ", 0.02]}}}\n");
  }
  return lines;
}

constexpr char kToServe[] = "To serve it, the pool needs:\n";

class TrainMistakesTest : public testing::Test {
 protected:
  void SetUp() override { table_ = folder_.Write("outcomes.jsonl", Table()); }

  Arguments Train(const Arguments& more) {
    return Arguments{"train", "--outcomes", table_, "--output", folder_.File("trained")} + more;
  }
  // A router's configuration with a pool of these fields.
  std::string Configuration(const std::string& fields) {
    return folder_.Write("router.yaml",
                         absl::StrCat("pools:\n- name: two\n  experts:\n"
                                      "  - {name: small, replicas: [{address: \"127.0.0.1:1\"}]}\n"
                                      "  - {name: large, replicas: [{address: \"127.0.0.1:1\"}]}\n",
                                      fields));
  }

  const TempDir folder_;
  std::string table_;
};

class TrainCommandTest : public TrainMistakesTest, public testing::WithParamInterface<Arguments> {};

TEST_P(TrainCommandTest, PrintsWhatThePoolNeedsAndARouterTakesIt) {
  const Outcome trained = Penstock(Train(GetParam()));
  ASSERT_EQ(trained.exit_code, 0) << trained.output;
  const size_t at = trained.output.find(kToServe);
  ASSERT_NE(at, std::string::npos) << trained.output;
  const std::string config = Configuration(trained.output.substr(at + sizeof(kToServe) - 1));
  const Outcome valid = RunBinary("penstock-router", {"--config", config, "--validate_config"});
  EXPECT_EQ(valid.exit_code, 0) << valid.output << trained.output.substr(at);
}

INSTANTIATE_TEST_SUITE_P(
    EveryKind, TrainCommandTest,
    testing::Values(Arguments{}, Arguments{"--gate", "comet"},
                    Arguments{"--gate", "activation", "--activation", "Sigmoid"},
                    Arguments{"--cascade", "small,large", "--risk", "0.3"},
                    Arguments{"--cascade", "small,large", "--policy", "automix"},
                    Arguments{"--count", "1.1"},
                    Arguments{"--verifier", "large", "--price", "0.1"}));

TEST_F(TrainMistakesTest, ValidationReadsTheFilesAndNamesPoolAndField) {
  ASSERT_EQ(Penstock(Train({"--gate", "comet"})).exit_code, 0);
  const std::string gone = folder_.File("trained/gone.safetensors");
  const std::string garbage = folder_.Write("garbage.safetensors", "no tensors at all");
  const std::string gate = folder_.File("trained/gate.safetensors");
  const std::string features = "  features: {tensor_pooling: {}}\n";
  const std::map<std::string, std::string> wrong = {
      {absl::StrCat("  quality_file: ", gone, "\n"), "pool two: quality_file: "},
      {absl::StrCat(features, "  gate: {topk_softmax: {file: ", garbage, "}}\n"),
       "pool two: gate.topk_softmax.file: "},
      // A file of another gate.
      {absl::StrCat(features, "  gate: {comet: {file: ", gate, "}}\n"),
       "pool two: gate.comet.file: "},
      // z has another length than in training.
      {absl::StrCat("  features: {tensor_pooling: {cells: 7}}\n  gate: {topk_softmax: {file: ", gate,
                    "}}\n"),
       "pool two: gate.topk_softmax.file: "},
      {absl::StrCat("  cascade: {first: small, file: ", gate, "}\n"), "pool two: cascade.file: "},
      {absl::StrCat("  cards_file: ", gone, "\n"), "pool two: cards_file: "}};
  for (const auto& [fields, named] : wrong) {
    const std::string config = Configuration(fields);
    const Outcome router = RunBinary("penstock-router", {"--config", config, "--validate_config"});
    EXPECT_EQ(router.exit_code, 2) << fields << router.output;
    EXPECT_THAT(router.output, HasSubstr(named)) << fields;
  }
  // `penstock serve` checks the same; without the files the configuration is valid.
  const std::string platform = folder_.Write(
      "platform.yaml",
      absl::StrCat("router:\n  pools:\n  - name: two\n    experts: [{name: small, replicas: "
                   "[{address: \"127.0.0.1:1\"}]}]\n    quality_file: ",
                   gone, "\n"));
  const Outcome serve =
      Penstock({"serve", "--config", platform, "--roles", "router", "--validate_config"});
  EXPECT_EQ(serve.exit_code, 1);
  EXPECT_THAT(serve.output, HasSubstr("router.pool two: quality_file: "));
  EXPECT_EQ(RunBinary("penstock-router", {"--config", Configuration(""), "--validate_config"}).exit_code, 0);
}

TEST_F(TrainMistakesTest, ModelsThatAreMissingOrBrokenAreNamed) {
  const TempDir models;
  const std::string config = folder_.Write(
      "expert.yaml", absl::StrCat("model_repository: ", models.path(), "\nmodels: [tiny]\n"));
  const Outcome expert = RunBinary("penstock-expert", {"--config", config, "--validate_config"});
  EXPECT_EQ(expert.exit_code, 2);
  EXPECT_THAT(expert.output, AllOf(HasSubstr("model_repository: "), HasSubstr("tiny")));
}

TEST_F(TrainMistakesTest, AnswersThatDoNotGoTogetherAreRefused) {
  const Outcome cascade = Penstock(Train({"--text", "--cascade", "small,large"}));
  EXPECT_EQ(cascade.exit_code, 1);
  EXPECT_THAT(cascade.output, HasSubstr("--cascade does not go with --text"));
  const Outcome cards = Penstock(Train({"--text", "--model", "prototypes"}));
  EXPECT_EQ(cards.exit_code, 1);
  EXPECT_THAT(cards.output, AllOf(HasSubstr("--cards FILE"), HasSubstr("capability")));
}

TEST_F(TrainMistakesTest, HelpSaysValuesAsTheUserWritesThem) {
  const Outcome help = Penstock({"train", "--help"});
  EXPECT_THAT(help.output, AllOf(HasSubstr("{shared,utility}"),
                                 HasSubstr("{tanh,sigmoid,gelu,identity}"), Not(HasSubstr("->"))));
  const Outcome labels = Penstock(Train({"--labels", "0"}));
  EXPECT_NE(labels.exit_code, 0) << "a number is no value of --labels";
  EXPECT_THAT(labels.output, HasSubstr("{shared,utility}"));
}

TEST_F(TrainMistakesTest, ReportsExplainTheirColumns) {
  const Outcome trained = Penstock(Train({}));
  for (const char* column : {"brier: ", "ece: ", "logloss: ", "l2: ", "tau: ", "hull: ", "oracle: "}) {
    EXPECT_THAT(trained.output, HasSubstr(column));
  }
}

TEST_F(TrainMistakesTest, FilesOfAnotherFormAreNamedWithWhatWasWantedAndWhatCame) {
  const std::string binary = folder_.Write("image.png", std::string("\x89PNG\0\0\0\x0d", 8));
  const std::string empty = folder_.Write("empty", "");
  const std::string array = folder_.Write("array.json", "[{\"id\": 1}, {\"id\": 2}]\n");
  const std::string trace = folder_.Write("trace.csv", "t_ms\n1\n2\n");
  const std::map<std::string, std::string> files = {
      {binary, "got binary data"}, {empty, "got an empty file"}, {array, "got a JSON array"}};
  const std::string out = folder_.File("out");
  for (const auto& [file, got] : files) {
    const std::vector<std::pair<std::string, Arguments>> commands = {
        {"--outcomes", {"train", "--outcomes", file, "--output", out}},
        {"--outcomes", {"train", "--text", "--outcomes", file, "--output", out}},
        {"--outcomes", {"train", "--domain_smoothing", "1,2", "--outcomes", file, "--output", out}},
        {"--outcomes", {"train", "--local_gate", "acme", "--outcomes", file, "--output", out}},
        {"--decisions", {"train", "--decisions", file, "--output", out}},
        {"--decisions", {"replay", "--decisions", file}},
        {"--trace", {"replay", "--trace", file, "--outcomes", table_}},
        {"--outcomes", {"replay", "--trace", trace, "--outcomes", file}},
        {"--outcomes", {"plan", "--outcomes", file}}};
    for (const auto& [option, command] : commands) {
      const Outcome outcome = Penstock(command);
      EXPECT_EQ(outcome.exit_code, 1) << command[0] << " " << option;
      EXPECT_THAT(outcome.output,
                  AllOf(HasSubstr(absl::StrCat(option, " ", file, ": wanted ")), HasSubstr(got)))
          << command[0];
    }
  }
}

TEST(ReplayCommandTest, ALogThatDoesNotTellEverythingEndsWithTwoAndSaysWhatIsMissing) {
  const TempDir folder;
  const std::string log = folder.Write(
      "log.jsonl",
      "{\"id\": \"0a1b2c3d-0000000000000001\", \"pool\": \"two\"}\n"
      "{\"id\": \"0a1b2c3d-00000000000\n");
  const Outcome outcome = Penstock({"replay", "--decisions", log});
  EXPECT_EQ(outcome.exit_code, 2) << outcome.output;
  EXPECT_THAT(outcome.output, AllOf(HasSubstr("error: DATA_LOSS: "), HasSubstr("is incomplete: "),
                                    HasSubstr("1 lines do not parse")));
  EXPECT_THAT(Penstock({"replay", "--help"}).output, HasSubstr("with 2"));
}

}  // namespace
}  // namespace penstock
