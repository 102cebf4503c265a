#include "absl/strings/str_cat.h"
#include "expert_service/models/blocks/blocks.h"

namespace penstock::expert {

absl::StatusOr<kernels::Activation> ActivationOf(config::v1::Activation activation) {
  switch (activation) {
    case config::v1::SWIGLU:
      return kernels::Activation::kSwiGlu;
    case config::v1::GEGLU_TANH:
      return kernels::Activation::kGeGluTanh;
    case config::v1::GEGLU_ERF:
      return kernels::Activation::kGeGluErf;
    case config::v1::REGLU_SQUARED:
      return kernels::Activation::kReGlu2;
    case config::v1::SWIGLU_CLAMPED:
      return kernels::Activation::kClampedSwiGlu;
    case config::v1::Activation_INT_MIN_SENTINEL_DO_NOT_USE_:
    case config::v1::Activation_INT_MAX_SENTINEL_DO_NOT_USE_:
      break;
  }
  return absl::InvalidArgumentError(absl::StrCat("unknown activation ", int{activation}));
}

}  // namespace penstock::expert
