// `penstock import` as built, on a small checkpoint.

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "tests/expert_service/importing/hf_checkpoint.h"
#include "tests/integration/process.h"
#include "tests/support/temp_dir.h"

namespace penstock {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

struct Outcome {
  int exit_code = 0;
  std::string output;
};

Outcome RunBinary(const std::string& binary, std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), std::string(PENSTOCK_BIN_DIR) + "/" + binary);
  Outcome outcome;
  outcome.exit_code = RunCommand(arguments, outcome.output);
  return outcome;
}

class ImportCommandTest : public testing::Test {
 protected:
  ImportCommandTest() { expert::HfCheckpoint("qwen2_moe", "BF16").Write(from_, 2); }

  Outcome Import(const std::vector<std::string>& more) {
    std::vector<std::string> arguments = {"import", "--hf", from_.path(), "--out",
                                          to_.File("models")};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return RunBinary("penstock", arguments);
  }

  const TempDir from_, to_;
};

TEST_F(ImportCommandTest, WritesARepositoryThatExpertsServe) {
  const Outcome done = Import({"--layer", "0", "--layer", "2"});
  ASSERT_EQ(done.exit_code, 0) << done.output;
  EXPECT_THAT(done.output, AllOf(HasSubstr("qwen2_moe: 6 experts, 2 a token, 20 -> 12 -> 20"),
                                 HasSubstr("qwen2_moe-layer2"), HasSubstr("2 layers, ")));
  std::ofstream(to_.File("expert.yaml")) << "model_repository: " << to_.File("models") << "\n";
  const Outcome checked =
      RunBinary("penstock-expert", {"--config", to_.File("expert.yaml"), "--validate_config"});
  EXPECT_EQ(checked.exit_code, 0) << checked.output;
}

TEST_F(ImportCommandTest, ExpertsComeWithWhatAPoolNeeds) {
  const Outcome text = Import({"--as", "experts", "--layer", "1", "--name", "q"});
  ASSERT_EQ(text.exit_code, 0) << text.output;
  EXPECT_THAT(text.output,
              AllOf(HasSubstr("granularity: ROW"), HasSubstr("q-layer1.gate.safetensors, k: 2"),
                    HasSubstr("q-layer1-shared"), HasSubstr("a factor a row")));
  const Outcome done =
      Import({"--as", "experts", "--layer", "1", "--name", "q", "--overwrite", "--json"});
  ASSERT_EQ(done.exit_code, 0) << done.output;
  const nlohmann::json report = nlohmann::json::parse(done.output);
  ASSERT_EQ(report["layers"].size(), 1u);
  EXPECT_EQ(report["layers"][0]["models"].size(), 6u);
  EXPECT_EQ(report["layers"][0]["models"][5], "q-layer1-expert5");
}

TEST_F(ImportCommandTest, SaysWhatWasWantedAndWhatCame) {
  ASSERT_EQ(Import({"--layer", "0"}).exit_code, 0);
  const Outcome again = Import({"--layer", "0"});
  EXPECT_EQ(again.exit_code, 1);
  EXPECT_THAT(again.output, HasSubstr("qwen2_moe-layer0 is there already"));
  EXPECT_THAT(again.output, HasSubstr("--overwrite"));
  const Outcome layer = Import({"--layer", "7"});
  EXPECT_EQ(layer.exit_code, 1);
  EXPECT_THAT(layer.output, HasSubstr("layer: wanted 0 to 2, found 7"));
  const Outcome kind = Import({"--as", "dense"});
  EXPECT_NE(kind.exit_code, 0);
  EXPECT_THAT(kind.output, HasSubstr("--as"));
  const Outcome help = RunBinary("penstock", {"import", "--help"});
  EXPECT_EQ(help.exit_code, 0);
  EXPECT_THAT(help.output, AllOf(HasSubstr("Mixtral"), HasSubstr("--overwrite"),
                                 HasSubstr("model.safetensors.index.json")));
}

}  // namespace
}  // namespace penstock
