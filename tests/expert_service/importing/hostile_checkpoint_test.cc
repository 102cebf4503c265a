// Checkpoints that are broken, or made to break: each is refused with what was wanted and what
// there is, and nothing is written.

#include <cstdint>
#include <filesystem>
#include <functional>
#include <limits>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "expert_service/importing/checkpoint.h"
#include "expert_service/importing/hf_config.h"
#include "expert_service/importing/import_checkpoint.h"
#include "expert_service/importing/strict_json.h"
#include "gmock/gmock.h"
#include "tests/expert_service/importing/hf_checkpoint.h"
#include "tests/support/status_matchers.h"

namespace penstock::expert {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using ::testing::AllOf;
using ::testing::HasSubstr;

// The message of the refused import of what `change` made of the files.
std::string Refused(const HfCheckpoint& checkpoint,
                    const std::function<void(const TempDir&)>& change = nullptr, int shards = 1) {
  const TempDir from, to;
  checkpoint.Write(from, shards);
  if (change) change(from);
  ImportOptions options;
  options.checkpoint = from.path();
  options.repository = to.File("models");
  const absl::StatusOr<ImportReport> report = ImportCheckpoint(options);
  EXPECT_FALSE(report.ok());
  EXPECT_FALSE(fs::exists(to.File("models"))) << "something was written";
  return std::string(report.status().message());
}

TEST(HostileConfigTest, FieldsThatAreMissingNegativeOrTooLargeAreNamed) {
  const auto refused = [](const std::string& field, const json& value) {
    HfCheckpoint checkpoint("qwen2_moe", "BF16");
    if (value.is_discarded()) {
      checkpoint.config.erase(field);
    } else {
      checkpoint.config[field] = value;
    }
    const absl::StatusOr<json> read = ParseStrictJson(checkpoint.config.dump());
    EXPECT_THAT(read, IsOk());
    const absl::StatusOr<HfMoe> moe = ParseHfConfig(*read);
    EXPECT_FALSE(moe.ok()) << field << " " << value;
    return std::string(moe.status().message());
  };
  const json missing(json::value_t::discarded);
  for (const char* field :
       {"num_hidden_layers", "hidden_size", "num_experts", "num_experts_per_tok",
        "moe_intermediate_size", "shared_expert_intermediate_size"}) {
    EXPECT_THAT(refused(field, missing),
                AllOf(HasSubstr(absl::StrCat(field, ": wanted an integer in [1, ")),
                      HasSubstr("found none")));
    for (const json& value :
         {json(0), json(-1), json(1.5), json("8"), json(true), json(nullptr), json::array({8}),
          json(std::numeric_limits<int64_t>::max()), json(std::numeric_limits<uint64_t>::max()),
          json(std::numeric_limits<int64_t>::min()), json(1e300)}) {
      EXPECT_THAT(refused(field, value), HasSubstr(absl::StrCat(field, ": wanted an integer")));
    }
  }
  EXPECT_THAT(refused("num_experts_per_tok", HfCheckpoint::kExperts + 1),
              HasSubstr("num_experts_per_tok: wanted an integer in [1, 6], found 7"));
  EXPECT_THAT(refused("num_experts", 4097), HasSubstr("in [1, 4096], found 4097"));
  EXPECT_THAT(refused("norm_topk_prob", missing),
              HasSubstr("norm_topk_prob: wanted true or false"));
  EXPECT_THAT(refused("norm_topk_prob", 1), HasSubstr("norm_topk_prob: wanted true or false"));
  EXPECT_THAT(refused("hidden_act", missing), HasSubstr("hidden_act: wanted silu"));
  EXPECT_THAT(refused("hidden_act", "relu"), HasSubstr("found \"relu\""));
  EXPECT_THAT(refused("rms_norm_eps", 0), HasSubstr("rms_norm_eps: wanted a number in (0, 1]"));
  EXPECT_THAT(refused("decoder_sparse_step", 0), HasSubstr("decoder_sparse_step"));
  EXPECT_THAT(refused("mlp_only_layers", 3), HasSubstr("mlp_only_layers: wanted a list"));
  EXPECT_THAT(refused("mlp_only_layers", json::array({3})), HasSubstr("layers in [0, 2], found 3"));
  EXPECT_THAT(refused("mlp_only_layers", json::array({-1})), HasSubstr("found -1"));
  EXPECT_THAT(refused("model_type", missing),
              HasSubstr("wanted one of mixtral, olmoe, qwen2_moe, qwen3_moe, found none"));
  EXPECT_THAT(refused("model_type", "llama"), HasSubstr("found \"llama\""));
  EXPECT_THAT(refused("quantization_config", {{"quant_method", "gptq"}}),
              HasSubstr("quantization_config: wanted none"));
  // Long text is not repeated at its length.
  EXPECT_LT(refused("model_type", std::string(100'000, 'x')).size(), 300u);
}

TEST(HostileConfigTest, JsonIsStrict) {
  const auto refused = [](const std::string& text) {
    return std::string(ParseStrictJson(text).status().message());
  };
  EXPECT_EQ(refused("{\"a\": {\"b\": 1}, \"c\": {\"b\": 1}}"), "");
  EXPECT_THAT(refused("{\"a\": 1, \"a\": 2}"), HasSubstr("the key \"a\" stands twice"));
  EXPECT_THAT(refused("{\"x\": [{\"a\": 1, \"b\": {}, \"a\": 1}]}"), HasSubstr("twice"));
  EXPECT_THAT(refused("[1]"), HasSubstr("wanted an object, found a list"));
  EXPECT_THAT(refused("7"), HasSubstr("wanted an object, found 7"));
  EXPECT_THAT(refused(""), HasSubstr("is not JSON"));
  EXPECT_THAT(refused("{\"a\": 1} x"), HasSubstr("is not JSON"));
  EXPECT_THAT(refused("{\"a\": \"\xff\"}"), HasSubstr("is not JSON"));
  EXPECT_THAT(refused("{\"a\": NaN}"), HasSubstr("is not JSON"));
  std::string deeper;
  for (int i = 0; i < 1'000'000; ++i) deeper += "{\"\":";
  EXPECT_THAT(refused(deeper), HasSubstr("at most 32 levels"));
  EXPECT_THAT(refused(absl::StrCat("{\"a\": ", std::string(1'000'000, '['))),
              HasSubstr("at most 32 levels"));
  EXPECT_THAT(refused(absl::StrCat("{\"a\": ", std::string(30, '['), std::string(30, ']'), "}")),
              "");
}

TEST(HostileConfigTest, FilesThatAreNoneAreNamed) {
  const HfCheckpoint checkpoint("olmoe", "BF16");
  EXPECT_THAT(Refused(checkpoint, [](const TempDir& d) { fs::remove(d.File("config.json")); }),
              HasSubstr("config.json does not exist"));
  EXPECT_THAT(Refused(checkpoint,
                      [](const TempDir& d) {
                        fs::remove(d.File("config.json"));
                        fs::create_directory(d.File("config.json"));
                      }),
              HasSubstr("config.json: not a regular file"));
  EXPECT_THAT(
      Refused(checkpoint,
              [](const TempDir& d) { d.Write("config.json", std::string(4'000'001, ' ')); }),
      HasSubstr("config.json: wanted at most 4000000 bytes, found 4000001"));
  EXPECT_THAT(
      Refused(checkpoint, [](const TempDir& d) { fs::remove(d.File("model.safetensors")); }),
      HasSubstr("neither model.safetensors nor model.safetensors.index.json"));
}

TEST(HostileIndexTest, FilesMustBeNamesInTheFolder) {
  for (const std::string file :
       {"../other.safetensors", "/etc/passwd", "a/b.safetensors", "..", "", ".hidden.safetensors",
        "model.bin", "a\\b.safetensors", "a b.safetensors", "%2e%2e.safetensors"}) {
    const json index = {{"weight_map", {{"t", file}}}};
    EXPECT_THAT(ParseIndex(index).status().message(),
                HasSubstr("weight_map[\"t\"]: wanted the name of a .safetensors file in the same"))
        << file;
  }
  EXPECT_FALSE(ParseIndex({{"weight_map", {{"t", std::string("a\0.safetensors", 14)}}}}).ok());
  EXPECT_FALSE(ParseIndex({{"weight_map", {{"t", std::string(300, 'a') + ".safetensors"}}}}).ok());
  for (const json& map : {json(nullptr), json(3), json::array({"t"}), json::object()}) {
    EXPECT_THAT(ParseIndex({{"weight_map", map}}).status().message(),
                HasSubstr("weight_map: wanted an object"));
  }
  EXPECT_THAT(ParseIndex(json::object()).status().message(), HasSubstr("found none"));
  EXPECT_THAT(ParseIndex({{"weight_map", {{"t", 3}}}}).status().message(), HasSubstr("found 3"));
  EXPECT_TRUE(ParseIndex({{"weight_map", {{"t", "model-00001-of-00002.safetensors"}}}}).ok());
}

TEST(HostileIndexTest, IndexAndShardsMustAgree) {
  const HfCheckpoint checkpoint("mixtral", "BF16");
  const auto with = [](const std::function<void(json&)>& change) {
    return [change](const TempDir& folder) {
      json index = json::parse(folder.Read("model.safetensors.index.json"));
      change(index["weight_map"]);
      folder.Write("model.safetensors.index.json", index.dump());
    };
  };
  const std::string moved = "model.layers.0.block_sparse_moe.gate.weight";
  const std::string second = HfCheckpoint::ShardName(1, 2);
  EXPECT_THAT(
      Refused(checkpoint, with([&](json& map) {
                map[moved] = map[moved] == second ? HfCheckpoint::ShardName(0, 2) : second;
              }),
              2),
      AllOf(HasSubstr("lacks what model.safetensors.index.json says it has"), HasSubstr(moved)));
  EXPECT_THAT(
      Refused(checkpoint, with([&](json& map) { map.erase("model.embed_tokens.weight"); }), 2),
      HasSubstr("model.embed_tokens.weight"));
  EXPECT_THAT(Refused(checkpoint, with([&](json& map) { map["extra"] = second; }), 2),
              HasSubstr("says it has: extra"));
  EXPECT_THAT(Refused(checkpoint,
                      with([&](json& map) { map[moved] = "model-00009-of-00009.safetensors"; }), 2),
              HasSubstr("model-00009-of-00009.safetensors"));
  EXPECT_THAT(Refused(
                  checkpoint,
                  [](const TempDir& folder) {
                    folder.Write("model.safetensors.index.json",
                                 "{\"weight_map\": {\"a\": \"x.safetensors\", \"a\": "
                                 "\"y.safetensors\"}}");
                  },
                  2),
              HasSubstr("the key \"a\" stands twice"));
}

TEST(HostileTensorsTest, AllThatIsMissingOddOrOfAnotherShapeIsListed) {
  HfCheckpoint checkpoint("qwen2_moe", "BF16");
  const std::string mlp = checkpoint.Block(1);
  checkpoint.tensors.erase(mlp + "experts.3.up_proj.weight");
  checkpoint.Add(mlp + "experts.4.down_proj.weight", {HfCheckpoint::kWidth, HfCheckpoint::kDim});
  checkpoint.Add(mlp + "experts.6.up_proj.weight", {HfCheckpoint::kWidth, HfCheckpoint::kDim});
  checkpoint.Add(mlp + "gate.bias", {HfCheckpoint::kExperts});
  checkpoint.Add(mlp + "experts.0.gate_proj.weight", {HfCheckpoint::kWidth, HfCheckpoint::kDim},
                 "F8_E4M3");
  checkpoint.Add(mlp + "shared_expert_gate.weight", {HfCheckpoint::kDim});
  const std::string message = Refused(checkpoint);
  EXPECT_THAT(message, HasSubstr("layer 1 of a qwen2_moe checkpoint:"));
  EXPECT_THAT(message, HasSubstr("experts.3.up_proj.weight: wanted [12,20], found none"));
  EXPECT_THAT(message, HasSubstr("experts.4.down_proj.weight: wanted BF16, F16 or F32 [20,12], "
                                 "found BF16 [12,20]"));
  EXPECT_THAT(message, HasSubstr("experts.6.up_proj.weight: wanted none, found one"));
  EXPECT_THAT(message, HasSubstr("mlp.gate.bias: wanted none, found one"));
  EXPECT_THAT(message, HasSubstr("experts.0.gate_proj.weight: wanted BF16, F16 or F32 [12,20], "
                                 "found F8_E4M3 [12,20]"));
  EXPECT_THAT(message, HasSubstr("shared_expert_gate.weight: wanted BF16, F16 or F32 [1,20], "
                                 "found BF16 [20]"));

  HfCheckpoint mixed("olmoe", "BF16");
  mixed.Add(mixed.Name(0, 2, "up"), {HfCheckpoint::kWidth, HfCheckpoint::kDim}, "F32");
  EXPECT_THAT(Refused(mixed), HasSubstr("experts.2.up_proj.weight: wanted BF16 as in"));
}

TEST(HostileTensorsTest, ALongListIsCut) {
  HfCheckpoint checkpoint("olmoe", "BF16");
  checkpoint.config["num_experts"] = 4096;
  const std::string message = Refused(checkpoint);
  EXPECT_THAT(message, HasSubstr("and "));
  EXPECT_LT(message.size(), 4000u);
}

// A safetensors file by hand.
std::string FileOf(const std::string& header, const std::string& data = "") {
  const uint64_t size = header.size();
  return absl::StrCat(std::string(reinterpret_cast<const char*>(&size), sizeof(size)), header,
                      data);
}

TEST(HostileTensorsTest, FilesMadeToBreakAReaderAreRefused) {
  const HfCheckpoint checkpoint("olmoe", "BF16");
  const auto refused = [&](const std::string& file) {
    return Refused(checkpoint, [&](const TempDir& d) { d.Write("model.safetensors", file); });
  };
  const auto tensor = [](const std::string& shape, uint64_t begin, uint64_t end) {
    return absl::StrCat("{\"dtype\":\"BF16\",\"shape\":", shape, ",\"data_offsets\":[", begin, ",",
                        end, "]}");
  };
  const uint64_t huge = 100'000'001;
  EXPECT_THAT(refused(std::string(reinterpret_cast<const char*>(&huge), sizeof(huge))),
              HasSubstr("header of 100000001 bytes, at most"));
  EXPECT_THAT(refused(FileOf("{}").substr(0, 5)), HasSubstr("truncated"));
  EXPECT_THAT(refused(FileOf(
                  absl::StrCat("{\"a\":", tensor("[1]", 0, 2), ",\"a\":", tensor("[1]", 2, 4), "}"),
                  "abcd")),
              HasSubstr("'a': stands twice"));
  EXPECT_THAT(refused(FileOf(
                  absl::StrCat("{\"a\":", tensor("[2]", 0, 4), ",\"b\":", tensor("[2]", 2, 6), "}"),
                  "abcdef")),
              HasSubstr("overlaps another tensor"));
  EXPECT_THAT(refused(FileOf(
                  absl::StrCat("{\"a\":", tensor("[4294967296,4294967296,2]", 0, 4), "}"), "abcd")),
              HasSubstr("too many elements"));
  EXPECT_THAT(refused(FileOf(absl::StrCat("{\"a\":", tensor("[2]", 0, 4), "}"), "ab")),
              HasSubstr("truncated?"));
  EXPECT_THAT(refused(""), HasSubstr("truncated"));
  // What is whole, and no checkpoint.
  EXPECT_THAT(refused(FileOf("{}")), HasSubstr("gate.weight: wanted [6,20], found none"));
}

TEST(HostileOptionsTest, NamesAreNoPaths) {
  const HfCheckpoint checkpoint("olmoe", "BF16");
  const TempDir from, to;
  checkpoint.Write(from);
  ImportOptions options;
  options.checkpoint = from.path();
  options.repository = to.File("models");
  for (const std::string name : {"../x", "a/b", ".", "..", ".x", "a b", "\n"}) {
    options.name = name;
    EXPECT_THAT(ImportCheckpoint(options),
                StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("name: wanted letters")));
  }
  options.name = "";
  options.max_rows = 0;
  EXPECT_THAT(ImportCheckpoint(options).status().message(), HasSubstr("max_rows: wanted 1 to"));
  options.max_rows = 64;
  options.layers = {3};
  EXPECT_THAT(ImportCheckpoint(options).status().message(),
              HasSubstr("layer: wanted 0 to 2, found 3"));
  options.layers = {-1};
  EXPECT_THAT(ImportCheckpoint(options).status().message(), HasSubstr("found -1"));
  options.layers = {};
  options.as = ImportAs::kExperts;
  options.norm = true;
  EXPECT_THAT(ImportCheckpoint(options).status().message(), HasSubstr("norm: only of whole"));
  EXPECT_FALSE(fs::exists(to.File("models")));
}

}  // namespace
}  // namespace penstock::expert
