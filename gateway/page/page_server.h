#pragma once

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "gateway/page/page_api.h"
#include "penstock/config/v1/gateway.pb.h"

namespace penstock {
class HttpServer;
}  // namespace penstock

namespace penstock::gateway {

// The page's port.
class PageServer {
 public:
  // INVALID_ARGUMENT names the field that cannot be.
  static absl::Status Check(const config::v1::LivePage& config);
  // At `default_address` where the configuration names none; that one may be taken by others, and
  // then there is no page, which is logged: requests matter more. "off" anywhere: none.
  // `deps.address` is filled in.
  static absl::StatusOr<std::unique_ptr<PageServer>> Start(const config::v1::LivePage& config,
                                                           const std::string& default_address,
                                                           PageApi::Deps deps);
  ~PageServer();

  // HOST:PORT as bound, or "-".
  const std::string& address() const { return address_; }

 private:
  PageServer();

  std::string address_ = "-";
  std::shared_ptr<PageApi> api_;
  std::unique_ptr<HttpServer> server_;  // null: off; ends first
};

}  // namespace penstock::gateway
