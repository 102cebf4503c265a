#include "expert_service/quantization/weight_units.h"

#include "absl/strings/str_cat.h"
#include "common/status_macros.h"
#include "common/tensors/tensor.h"

namespace penstock::expert {
namespace {

absl::StatusOr<std::vector<int64_t>> ShapeOf(const Safetensors& file, const std::string& name,
                                             size_t rank) {
  const Safetensors::Entry* entry = file.Find(name);
  if (entry == nullptr) {
    return absl::InvalidArgumentError(
        absl::StrCat("tensor ", name, ": wanted F32, F16, BF16 or F64 weights, found none",
                     file.Find(name + ".codes") != nullptr ? " (they are quantised already)" : ""));
  }
  if (entry->shape.size() != rank) {
    return absl::InvalidArgumentError(absl::StrCat("tensor ", name, ": wanted ", rank,
                                                   " dimensions, found ",
                                                   ShapeString(entry->shape)));
  }
  return entry->shape;
}

class Units {
 public:
  explicit Units(const Safetensors& file) : file_(file) {}

  absl::Status AddLinear(int block) {
    const std::string weight = absl::StrCat(block, ".weight");
    PENSTOCK_ASSIGN_OR_RETURN(const std::vector<int64_t> shape, ShapeOf(file_, weight, 2));
    all_.push_back({weight, {{weight, -1, weight}}, shape[0], shape[1]});
    return absl::OkStatus();
  }

  // Its tensors' names begin with `prefix`.
  absl::Status AddGatedMlp(const std::string& prefix) {
    const std::string gate = absl::StrCat(prefix, "gate"), up = absl::StrCat(prefix, "up"),
                      down = absl::StrCat(prefix, "down");
    PENSTOCK_ASSIGN_OR_RETURN(const std::vector<int64_t> f_d, ShapeOf(file_, gate, 2));
    PENSTOCK_RETURN_IF_ERROR(ShapeOf(file_, up, 2).status());
    PENSTOCK_ASSIGN_OR_RETURN(const std::vector<int64_t> o_f, ShapeOf(file_, down, 2));
    all_.push_back({absl::StrCat(gate, "+up"), {{gate, -1, gate}, {up, -1, up}}, f_d[0], f_d[1]});
    all_.push_back({down, {{down, -1, down}}, o_f[0], o_f[1]});
    return absl::OkStatus();
  }

  absl::Status AddMoe(int block) {
    const std::string gate = absl::StrCat(block, ".gate"), up = absl::StrCat(block, ".up"),
                      down = absl::StrCat(block, ".down");
    PENSTOCK_ASSIGN_OR_RETURN(const std::vector<int64_t> f_d, ShapeOf(file_, gate, 3));
    PENSTOCK_RETURN_IF_ERROR(ShapeOf(file_, up, 3).status());
    PENSTOCK_ASSIGN_OR_RETURN(const std::vector<int64_t> o_f, ShapeOf(file_, down, 3));
    for (int64_t e = 0; e < f_d[0]; ++e) {
      const auto own = [e](const std::string& name) { return absl::StrCat(name, ".", e); };
      all_.push_back({absl::StrCat(gate, "+up of expert ", e),
                      {{gate, e, own(gate)}, {up, e, own(up)}},
                      f_d[1],
                      f_d[2]});
      all_.push_back(
          {absl::StrCat(down, " of expert ", e), {{down, e, own(down)}}, o_f[1], o_f[2]});
    }
    const std::string shared = absl::StrCat(block, ".shared_");
    if (file_.Find(shared + "gate") == nullptr) return absl::OkStatus();
    return AddGatedMlp(shared);
  }

  std::vector<WeightUnit> Take() { return std::move(all_); }

 private:
  const Safetensors& file_;
  std::vector<WeightUnit> all_;
};

}  // namespace

absl::StatusOr<std::vector<WeightUnit>> WeightUnits(const config::v1::Model& config,
                                                    const Safetensors& file) {
  Units units(file);
  for (int block = 0; block < config.blocks_size(); ++block) {
    const config::v1::Block& each = config.blocks(block);
    if (each.has_linear()) PENSTOCK_RETURN_IF_ERROR(units.AddLinear(block));
    if (each.has_gated_mlp()) PENSTOCK_RETURN_IF_ERROR(units.AddGatedMlp(absl::StrCat(block, ".")));
    if (each.has_moe()) PENSTOCK_RETURN_IF_ERROR(units.AddMoe(block));
  }
  return units.Take();
}

int64_t UnitBytes(const WeightUnit& unit, const UnitFormat& format) {
  const int64_t members = static_cast<int64_t>(unit.members.size());
  const int64_t row = (unit.in * kernels::FormatBits(format.format) + 7) / 8;
  const int64_t groups = !kernels::IsScaled(format.format) ? 0
                         : format.group == 0               ? 1
                                                           : unit.in / format.group;
  return members * unit.out * (row + groups * static_cast<int64_t>(sizeof(float)));
}

}  // namespace penstock::expert
