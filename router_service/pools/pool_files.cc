#include "router_service/pools/pool_files.h"

#include <map>
#include <memory>
#include <optional>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "common/sha256.h"
#include "common/tensors/safetensors.h"
#include "router_service/pools/pool.h"
#include "router_service/quality/artifact_checksum.h"
#include "router_service/quality/learned/expert_cards.h"

namespace penstock::router {
namespace {

constexpr char kCards[] = "cards_file";

void Add(const std::string& field, const std::string& path, std::vector<PoolFile>& files) {
  if (!path.empty()) files.push_back({field, path});
}

// Whichever policy is set, it has at most a `file`, and phatgoose one for each expert.
void AddGate(const std::string& field, const config::v1::Gate& gate,
             std::vector<PoolFile>& files) {
  const auto* policies = gate.GetDescriptor()->FindOneofByName("policy");
  const auto* policy = gate.GetReflection()->GetOneofFieldDescriptor(gate, policies);
  if (policy == nullptr) return;
  const google::protobuf::Message& config = gate.GetReflection()->GetMessage(gate, policy);
  const std::string path = absl::StrCat(field, ".", policy->name());
  if (const auto* file = config.GetDescriptor()->FindFieldByName("file"); file != nullptr) {
    Add(path + ".file", config.GetReflection()->GetString(config, file), files);
  }
  // protobuf iterates a map in no fixed order.
  const std::map<std::string, std::string> vectors(gate.phatgoose().vectors().begin(),
                                                   gate.phatgoose().vectors().end());
  for (const auto& [expert, file] : vectors) {
    Add(absl::StrCat(path, ".vectors.", expert), file, files);
  }
}

absl::Status Named(const config::v1::Pool& pool, const std::string& field,
                   const absl::Status& status) {
  return absl::Status(status.code(),
                      absl::StrCat("pool ", pool.name(), ": ", field, ": ", status.message()));
}

// Features that a trained file reads.
std::optional<size_t> DimensionOf(const Safetensors& file) {
  size_t dimension = 0;
  const auto said = file.metadata().find("dimension");
  if (said != file.metadata().end() && absl::SimpleAtoi(said->second, &dimension)) return dimension;
  const Safetensors::Entry* weight = file.Find("weight");
  if (weight == nullptr || weight->shape.size() != 2) return std::nullopt;
  return static_cast<size_t>(weight->shape[1]);
}

std::optional<PoolContract> StandIn(const config::v1::Pool& pool,
                                    std::optional<size_t> dimension) {
  PoolContract contract;
  contract.batched = true;
  const config::v1::Features& features = pool.features();
  if (features.has_text()) {
    const std::string& input = features.text().input();
    contract.inputs.push_back({input.empty() ? "prompt" : input, "BYTES", {1}});
  } else if (features.has_tensor_pooling()) {
    const config::v1::TensorPooling& pooling = features.tensor_pooling();
    if (pooling.cells() != 0) dimension = pooling.cells();
    if (!dimension.has_value() || *dimension == 0) return std::nullopt;
    contract.inputs.push_back({pooling.input().empty() ? "input" : pooling.input(), "FP32",
                               {static_cast<int64_t>(*dimension)}});
  }
  if (!pool.combined_output().empty()) {
    contract.outputs.push_back({pool.combined_output(), "FP32", {1}});
  }
  return contract;
}

}  // namespace

std::vector<PoolFile> FilesOf(const config::v1::Pool& pool) {
  std::vector<PoolFile> files;
  Add("quality_file", pool.quality_file(), files);
  Add(kCards, pool.cards_file(), files);
  AddGate("gate", pool.gate(), files);
  Add("selection.count_file", pool.selection().count_file(), files);
  if (!pool.cascade().first().empty()) Add("cascade.file", pool.cascade().file(), files);
  if (pool.combiner() == config::v1::SMOOTHED_DOMAINS) {
    Add("domain_smoothing.file", pool.domain_smoothing().file(), files);
  }
  if (pool.combiner() == config::v1::RANKED) Add("ranking.file", pool.ranking().file(), files);
  std::map<std::string, std::string> tenants;
  for (const auto& [tenant, local] : pool.customisation().tenants()) tenants[tenant] = local.file();
  for (const auto& [tenant, file] : tenants) {
    Add(absl::StrCat("customisation.tenants.", tenant, ".file"), file, files);
  }
  Add("shadow.quality_file", pool.shadow().quality_file(), files);
  AddGate("shadow.gate", pool.shadow().gate(), files);
  return files;
}

std::vector<std::string> PathsOf(const config::v1::Pool& pool) {
  std::vector<std::string> paths;
  for (PoolFile& file : FilesOf(pool)) paths.push_back(std::move(file.path));
  const std::string& folder = pool.features().text().embeddings().folder();
  if (!folder.empty()) {
    for (const char* name : {"model.safetensors", "tokenizer.json", "config.json"}) {
      paths.push_back(absl::StrCat(folder, "/", name));
    }
  }
  return paths;
}

std::string DigestOfFiles(const config::v1::Pool& pool) {
  std::string digests;
  for (const std::string& path : PathsOf(pool)) {
    const absl::StatusOr<Sha256Digest> digest = Sha256OfFile(path);
    absl::StrAppend(&digests, path, "=", digest.ok() ? ToHex(*digest) : "unreadable", "\n");
  }
  return Sha256Hex(digests);
}

absl::Status NamingFile(const config::v1::Pool& pool, const absl::Status& status) {
  if (status.ok()) return status;
  const bool of_shadow = absl::StartsWith(status.message(), "shadow: ");
  for (const PoolFile& file : FilesOf(pool)) {
    if (of_shadow != absl::StartsWith(file.field, "shadow.")) continue;
    if (absl::StrContains(status.message(), file.path)) return Named(pool, file.field, status);
  }
  return status;
}

absl::Status CheckPoolFiles(const config::v1::Pool& pool) {
  std::optional<size_t> dimension;
  for (const PoolFile& file : FilesOf(pool)) {
    if (file.field == kCards) {
      const absl::Status status = ReadExpertCards(file.path).status();
      if (!status.ok()) return Named(pool, file.field, status);
      continue;
    }
    const absl::StatusOr<std::shared_ptr<const Safetensors>> opened = OpenArtifact(file.path);
    if (!opened.ok()) return Named(pool, file.field, opened.status());
    if (!dimension.has_value()) dimension = DimensionOf(**opened);
  }
  std::optional<PoolContract> contract =
      pool.inputs().empty() ? StandIn(pool, dimension) : ContractFromConfig(pool);
  if (!contract.has_value()) return absl::OkStatus();
  contract->batched = contract->batched || pool.granularity() == config::v1::Pool::ROW;
  return NamingFile(pool, MakePoolRooms(pool, *std::move(contract)).status());
}

}  // namespace penstock::router
