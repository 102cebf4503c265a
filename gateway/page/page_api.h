#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "common/http/http_message.h"
#include "common/http/http_responder.h"
#include "common/mutex.h"
#include "common/time/clock.h"
#include "gateway/identity/authenticator.h"
#include "gateway/page/decision_feed.h"
#include "gateway/page/platform_view.h"

namespace penstock::gateway {

// The live page and its JSON API: what a request is answered with, by whom it comes from. Files of
// the page and /healthz are anybody's; /api/ wants the credentials that calls want, and shows each
// caller what penstock.v1.Routing would.
class PageApi {
 public:
  // All outlive it, but for what `feed` shares.
  struct Deps {
    PlatformView& view;
    const Authenticator& authenticator;
    const std::shared_ptr<DecisionFeed> feed;
    const Clock& clock;
    std::function<bool()> serving;
    // Who began to watch decisions, or was refused. Must not block.
    std::function<void(const Principal&, const HttpRequest&, const absl::Status&)> audit;
    std::string version;
    // Where the page is served. What comes over the loopback address must name it, or this
    // machine: a stranger's name that leads there is a page of theirs that would read ours.
    std::string address;
  };
  explicit PageApi(Deps deps) : deps_(std::move(deps)) {}

  // Does not block.
  void Handle(const HttpRequest& request, const HttpResponder& to);

 private:
  bool HostIsOurs(const HttpRequest& request) const;
  void HandleApi(const HttpRequest& request, const HttpResponder& to);
  HttpResponse Summary(const Principal& caller) const;
  void Decisions(const Principal& caller, const HttpRequest& request, const HttpResponder& to);
  // Whether a line is due: one when somebody begins, not one for each poll.
  bool AuditIsDue(const Principal& caller, const std::string& pool);

  const Deps deps_;
  Mutex mutex_;
  // By credential and pool.
  std::map<std::string, absl::Time> audited_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace penstock::gateway
