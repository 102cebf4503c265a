// `penstock quantize` and `penstock kernels` as built, on the example's mixture of experts.

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "tests/integration/process.h"
#include "tests/support/temp_dir.h"

namespace penstock {
namespace {

using ::testing::HasSubstr;

struct Outcome {
  int exit_code = 0;
  std::string output;
};

Outcome Penstock(std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), std::string(PENSTOCK_BIN_DIR) + "/penstock");
  Outcome outcome;
  outcome.exit_code = RunCommand(arguments, outcome.output);
  return outcome;
}

std::string Example() { return std::string(PENSTOCK_SOURCE_DIR) + "/examples/digits/models/moe"; }

// Pixels between 0 and 1, of 32 images.
std::string WriteInputs(const TempDir& folder) {
  std::vector<float> pixels(32 * 784);
  for (size_t i = 0; i < pixels.size(); ++i) pixels[i] = static_cast<float>(i * 37 % 101) / 101;
  const std::string path = folder.File("inputs.f32");
  std::ofstream(path, std::ios::binary)
      .write(reinterpret_cast<const char*>(pixels.data()),
             static_cast<std::streamsize>(pixels.size() * sizeof(float)));
  return path;
}

TEST(QuantizeCommandTest, WritesAModelThatExpertsServe) {
  const TempDir folder;
  const std::string output = folder.File("models/moe-int4");
  const Outcome done = Penstock({"quantize", Example(), "--output", output, "--format", "int4"});
  ASSERT_EQ(done.exit_code, 0) << done.output;
  EXPECT_THAT(done.output, HasSubstr("1.gate+up of expert 7"));
  EXPECT_THAT(done.output, HasSubstr("int4:64"));
  EXPECT_TRUE(std::filesystem::exists(output + "/1/model.safetensors"));

  std::ofstream(folder.File("expert.yaml"))
      << "model_repository: " << folder.File("models") << "\n";
  Outcome checked;
  checked.exit_code = RunCommand({std::string(PENSTOCK_BIN_DIR) + "/penstock-expert", "--config",
                                  folder.File("expert.yaml"), "--validate_config"},
                                 checked.output);
  EXPECT_EQ(checked.exit_code, 0) << checked.output;
}

TEST(QuantizeCommandTest, ABudgetIsKeptAndMeasured) {
  const TempDir folder;
  const Outcome done =
      Penstock({"quantize", Example(), "--output", folder.File("small"), "--budget_bits", "4.5",
                "--inputs", WriteInputs(folder), "--json"});
  ASSERT_EQ(done.exit_code, 0) << done.output;
  const nlohmann::json report = nlohmann::json::parse(done.output);
  EXPECT_LE(report["bytes"].get<double>() * 8, 4.5 * report["weights"].get<double>());
  EXPECT_GT(report["output_error"].get<double>(), 0);
  EXPECT_EQ(report["matrices"].size(), 18u);  // two linears, two matrices of eight experts
}

TEST(QuantizeCommandTest, SaysWhatWasWantedAndWhatCame) {
  const TempDir folder;
  const auto refused = [&](std::vector<std::string> more) {
    std::vector<std::string> arguments = {"quantize", Example(), "--output", folder.File("x")};
    arguments.insert(arguments.end(), more.begin(), more.end());
    const Outcome done = Penstock(arguments);
    EXPECT_EQ(done.exit_code, 1);
    return done.output;
  };
  EXPECT_THAT(refused({"--format", "int3"}), HasSubstr("--format: wanted int8, int4"));
  EXPECT_THAT(refused({"--group", "48"}), HasSubstr("group must be 0"));
  EXPECT_THAT(refused({"--budget_bytes", "10"}), HasSubstr("budget_bytes: wanted at least"));
  EXPECT_THAT(refused({"--inputs", folder.File("none")}), HasSubstr("cannot be read"));
  const Outcome nowhere =
      Penstock({"quantize", folder.File("nowhere"), "--output", folder.File("x")});
  EXPECT_EQ(nowhere.exit_code, 1);
  EXPECT_THAT(nowhere.output, HasSubstr("wanted a model's folder"));
  EXPECT_FALSE(std::filesystem::exists(folder.File("x"))) << "nothing is left behind";
}

TEST(KernelsCommandTest, NamesWhatRuns) {
  const Outcome table = Penstock({"kernels"});
  ASSERT_EQ(table.exit_code, 0) << table.output;
  EXPECT_THAT(table.output, HasSubstr("moe_ffn"));
  EXPECT_THAT(table.output, HasSubstr("RUNS"));
  const Outcome forced = Penstock({"kernels", "--force", "reference", "--json"});
  ASSERT_EQ(forced.exit_code, 0) << forced.output;
  const nlohmann::json ops = nlohmann::json::parse(forced.output);
  ASSERT_GT(ops.size(), 20u);
  for (const nlohmann::json& op : ops) {
    EXPECT_EQ(op["entries"].back()["isa"], "reference");
    EXPECT_TRUE(op["entries"].back()["runs"].get<bool>()) << op["op"];
  }
  const Outcome unknown = Penstock({"kernels", "--force", "sse2"});
  EXPECT_EQ(unknown.exit_code, 1);
  EXPECT_THAT(unknown.output, HasSubstr("--force"));
}

}  // namespace
}  // namespace penstock
