#include "gateway/oip/platform_page.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "common/net/admin_audit.h"
#include "common/status_macros.h"
#include "gateway/oip/decision_merge.h"

namespace penstock::gateway {
namespace {

void Audit(const Principal& caller, const HttpRequest& from, const absl::Status& status) {
  AdminCall call;
  call.method = absl::StrCat(kWatchDecisions, " by page");
  call.tenant = caller.tenant;
  call.credential = caller.credential;
  call.caller.peer = from.peer;
  v1::WatchDecisionsRequest request;
  request.set_pool(from.Parameter("pool"));
  call.arguments = request.ShortDebugString();
  AuditAdminCall(call, status);
}

}  // namespace

PlatformPage::PlatformPage(const Deps& deps)
    : view_(deps.routers, deps.clock),
      feed_(std::make_shared<DecisionFeed>(deps.clock, deps.timers, DecisionFeed::Limits())),
      watch_(std::make_shared<DecisionWatch>(deps.routers, feed_)) {
  feed_->SetSource({[watch = watch_] { watch->Watch(); }, [watch = watch_] { watch->Unwatch(); }});
}

absl::StatusOr<std::unique_ptr<PlatformPage>> PlatformPage::Start(
    const config::v1::LivePage& config, const std::string& default_address, const Deps& deps) {
  std::unique_ptr<PlatformPage> page(new PlatformPage(deps));
  PENSTOCK_ASSIGN_OR_RETURN(
      page->server_,
      PageServer::Start(config, default_address,
                        {page->view_, deps.authenticator, page->feed_, deps.clock, deps.serving,
                         Audit, PENSTOCK_VERSION, ""}));
  page->address_ = page->server_->address();
  return page;
}

void PlatformPage::Stop() {
  server_.reset();
  feed_->Stop();
}

}  // namespace penstock::gateway
