#pragma once

#include <functional>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "common/time/clock.h"
#include "common/time/timers.h"
#include "gateway/forwarding/router_set.h"
#include "gateway/identity/authenticator.h"
#include "gateway/oip/router_view.h"
#include "gateway/page/page_server.h"

namespace penstock::gateway {

// The live page of a gateway: its port, and what it asks the gateway's routers.
class PlatformPage {
 public:
  // All outlive Stop.
  struct Deps {
    const RouterSet& routers;
    const Authenticator& authenticator;
    const Clock& clock;
    Timers& timers;
    std::function<bool()> serving;
  };
  // As PageServer::Start.
  static absl::StatusOr<std::unique_ptr<PlatformPage>> Start(const config::v1::LivePage& config,
                                                             const std::string& default_address,
                                                             const Deps& deps);
  ~PlatformPage() { Stop(); }
  // Answers nobody any more. Idempotent.
  void Stop();

  // HOST:PORT as bound, or "-".
  const std::string& address() const { return address_; }

 private:
  explicit PlatformPage(const Deps& deps);

  RouterView view_;
  const std::shared_ptr<DecisionFeed> feed_;
  const std::shared_ptr<DecisionWatch> watch_;
  std::unique_ptr<PageServer> server_;
  std::string address_;
};

}  // namespace penstock::gateway
