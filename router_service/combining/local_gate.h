#pragma once

#include <array>
#include <cstddef>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "penstock/config/v1/router.pb.h"

namespace penstock::router {

// When one tenant's own expert answers instead of the global one: where sigma(bias + weight .
// features) exceeds tau. The features: the global answer's largest probability and entropy (nats),
// the distance of z to the tenant's mean, the local answer's largest probability.
struct LocalGate {
  static constexpr size_t kFeatures = 4;
  using Features = std::array<double, kFeatures>;

  Features weight{};
  double bias = 0;
  double tau = 1;  // +infinity: never
  std::vector<float> centroid;

  static Features FeaturesOf(absl::Span<const float> global, absl::Span<const float> local,
                             double distance);
  double Distance(absl::Span<const float> z) const;
  double Probability(const Features& features) const;
  bool TakesLocal(const Features& features) const { return Probability(features) > tau; }
};

// File: tensors weight [4], bias [1], tau [1], centroid [d]; metadata "kind" local_gate, "tenant".
absl::Status WriteLocalGate(const std::string& path, const std::string& tenant,
                            const LocalGate& gate);
// INVALID_ARGUMENT: another tenant's, or a centroid that is not of `dimension`.
absl::StatusOr<LocalGate> ReadLocalGate(const std::string& path, absl::string_view tenant,
                                        size_t dimension);

// A pool's `customisation`, made ready. Immutable.
class Customisation {
 public:
  struct Local {
    size_t expert = 0;
    LocalGate gate;
  };

  // INVALID_ARGUMENT names the field; `dimension` of the dense features.
  static absl::StatusOr<std::unique_ptr<const Customisation>> Create(const config::v1::Pool& pool,
                                                                     size_t dimension);

  size_t global_expert() const { return global_; }
  // The tenant's own; null: it has none.
  const Local* Of(absl::string_view tenant) const;
  // Whether the expert is some tenant's own.
  bool IsLocal(size_t expert) const { return is_local_[expert] != 0; }

 private:
  Customisation() = default;

  size_t global_ = 0;
  std::map<std::string, Local, std::less<>> tenants_;
  std::vector<uint8_t> is_local_;  // [experts]
};

// What needs no file.
absl::Status ValidateCustomisation(const config::v1::Pool& pool);

}  // namespace penstock::router
