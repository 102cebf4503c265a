#include "gateway/page/page_server.h"

#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "common/http/http_server.h"
#include "common/logging/log.h"
#include "gateway/page/page_answers.h"

namespace penstock::gateway {
namespace {

constexpr char kOff[] = "off";

HttpServerOptions OptionsOf(const config::v1::LivePage& config, const std::string& address) {
  HttpServerOptions options;
  options.address_field = "page.http";
  options.tls_field = "page.tls";
  options.address = address;
  options.tls = config.tls();
  options.limits.most_head_bytes = 16384;  // a token may take 8 KiB
  // A request for decisions waits up to ten seconds, and a router may take five to answer.
  options.limits.answer_time = absl::Seconds(20);
  options.limits.write_time = absl::Seconds(30);
  options.most_connections = 64;
  options.refuse = RefusalAnswer;
  return options;
}

}  // namespace

PageServer::PageServer() = default;
PageServer::~PageServer() = default;

absl::Status PageServer::Check(const config::v1::LivePage& config) {
  const std::string& address = config.http();
  if (!address.empty() && address != kOff && !absl::StrContains(address, ':')) {
    return absl::InvalidArgumentError(
        absl::StrCat("page.http is \"", address, "\", want HOST:PORT or \"off\""));
  }
  const config::v1::Tls& tls = config.tls();
  if (tls.certificate_file().empty() && !(tls.key_file().empty() && tls.client_ca_file().empty())) {
    return absl::InvalidArgumentError("page.tls.certificate_file: is empty");
  }
  if (!tls.certificate_file().empty() && tls.key_file().empty()) {
    return absl::InvalidArgumentError("page.tls.key_file: is empty");
  }
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<PageServer>> PageServer::Start(const config::v1::LivePage& config,
                                                              const std::string& default_address,
                                                              PageApi::Deps deps) {
  std::unique_ptr<PageServer> page(new PageServer());
  const bool unnamed = config.http().empty();
  const std::string& address = unnamed ? default_address : config.http();
  if (address == kOff) return page;
  deps.address = address;
  page->api_ = std::make_shared<PageApi>(std::move(deps));
  auto server = HttpServer::Start(
      OptionsOf(config, address),
      [api = page->api_](const HttpRequest& request, const HttpResponder& to) {
        api->Handle(request, to);
      });
  if (!server.ok() && unnamed && absl::IsUnavailable(server.status())) {
    LogWarning("no_page").With("reason", absl::StrCat(server.status().message(),
                                                      "; name another in page.http"));
    return page;
  }
  if (!server.ok()) return server.status();
  page->server_ = *std::move(server);
  page->address_ = page->server_->address();
  return page;
}

}  // namespace penstock::gateway
