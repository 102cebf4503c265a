#pragma once

#include <cstddef>
#include <string>

#include "absl/functional/any_invocable.h"
#include "absl/status/statusor.h"
#include "gateway/identity/principal.h"
#include "penstock/v1/routing.pb.h"

namespace penstock::gateway {

// The platform as one caller may see it, over all routers that answer. Methods do not block; `done`
// runs exactly once, on any thread, possibly before they return. Thread-safe.
class PlatformView {
 public:
  template <class Response>
  using Done = absl::AnyInvocable<void(absl::StatusOr<Response>)>;
  struct Routers {
    size_t configured = 0;
    size_t healthy = 0;
  };

  virtual ~PlatformView() = default;
  virtual void ListPools(const Principal& caller, Done<v1::ListPoolsResponse> done) = 0;
  virtual void ListExperts(const Principal& caller, const std::string& pool,
                           Done<v1::ListExpertsResponse> done) = 0;
  virtual void GetBudgets(const Principal& caller, Done<v1::GetBudgetResponse> done) = 0;
  virtual Routers routers() const = 0;
};

}  // namespace penstock::gateway
