#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "penstock/config/v1/router.pb.h"
#include "router_service/guards/stability_certificate.h"

namespace penstock::router {

// What a pool's `guards` ask for, made ready. Immutable.
struct PoolGuards {
  std::unique_ptr<const StabilityCertificate> certificate;  // null: not asked for
  // [experts], 1: no gate, plan or price takes it out of those that may be asked. Empty: nobody.
  std::vector<uint8_t> mandatory;
  bool disagreement = false;
};

// INVALID_ARGUMENT names the field. What needs no file.
absl::Status ValidateGuards(const config::v1::Pool& pool);

// `dimension` of the dense features.
absl::StatusOr<PoolGuards> MakePoolGuards(const config::v1::Pool& pool, size_t dimension);

}  // namespace penstock::router
