#include "gateway/page/page_api.h"

#include <nlohmann/json.hpp>
#include <optional>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "common/utf8.h"
#include "gateway/page/page_answers.h"
#include "gateway/page/page_assets.h"

namespace penstock::gateway {
namespace {

// How long a request for decisions may wait for one.
constexpr double kMaxWaitSeconds = 10;
// Who goes on watching is written down again after so long.
constexpr absl::Duration kAuditEvery = absl::Minutes(10);
constexpr size_t kMostAudited = 1024;

template <class Response>
PlatformView::Done<Response> AnswerTo(const HttpResponder& to) {
  return [to](absl::StatusOr<Response> answer) {
    // Turned into JSON by the page's thread, not by one of the data path's.
    to.Make([answer = std::move(answer)] {
      return answer.ok() ? MessageAnswer(*answer) : ErrorAnswer(answer.status());
    });
  };
}

// HOST of HOST:PORT, in lower case; an IPv6 address keeps its brackets.
std::string HostOf(absl::string_view authority) {
  const size_t colon = authority.rfind(':');
  const size_t bracket = authority.rfind(']');
  const bool has_port = colon != absl::string_view::npos &&
                        (bracket == absl::string_view::npos || colon > bracket);
  return absl::AsciiStrToLower(has_port ? authority.substr(0, colon) : authority);
}

absl::Status Wanted(const char* parameter, const char* what, const std::string& got) {
  return absl::InvalidArgumentError(absl::StrCat(parameter, ": wanted ", what, ", got ", got));
}

absl::StatusOr<uint64_t> ReadAfter(const HttpRequest& request) {
  const std::string text = request.Parameter("after");
  uint64_t after = 0;
  if (!text.empty() && !absl::SimpleAtoi(text, &after)) {
    return Wanted("after", "`next` of an earlier answer", text);
  }
  return after;
}

absl::StatusOr<absl::Duration> ReadWait(const HttpRequest& request) {
  const std::string text = request.Parameter("wait");
  double seconds = 0;
  if (!text.empty() && (!absl::SimpleAtod(text, &seconds) ||
                        !(seconds >= 0 && seconds <= kMaxWaitSeconds))) {
    return Wanted("wait", "seconds in [0, 10]", text);
  }
  return absl::Seconds(seconds);
}

}  // namespace

void PageApi::Handle(const HttpRequest& request, const HttpResponder& to) {
  if (!HostIsOurs(request)) {
    return to.Send(RefusalAnswer(421, "wanted Host to be this machine's own name or address"));
  }
  if (request.path == "/healthz") {
    const bool serving = deps_.serving();
    return to.Send(PageAnswer(serving ? 200 : 503, "text/plain; charset=utf-8",
                              serving ? "ok\n" : "no router is healthy\n"));
  }
  if (absl::StartsWith(request.path, "/api/")) return HandleApi(request, to);
  // A view of either: of a literal and a string, `?:` makes another string.
  absl::string_view path = request.path;
  if (path == "/") path = "/page.html";
  for (const PageAsset& asset : PageAssets()) {
    if (asset.path != path) continue;
    return to.Send(
        PageAnswer(200, std::string(asset.content_type), std::string(asset.body)));
  }
  to.Send(ErrorAnswer(absl::NotFoundError("wanted /, /healthz or a path of the API")));
}

bool PageApi::HostIsOurs(const HttpRequest& request) const {
  const std::string host = HostOf(request.Header("host"));
  if (!request.to_loopback || host.empty()) return true;
  return host == "localhost" || absl::EndsWith(host, ".localhost") || host == "127.0.0.1" ||
         host == "[::1]" || host == HostOf(deps_.address);
}

void PageApi::HandleApi(const HttpRequest& request, const HttpResponder& to) {
  const std::string pool = request.Parameter("pool");
  const Metadata metadata = {{"authorization", std::string(request.Header("authorization"))}};
  const absl::StatusOr<Principal> caller = deps_.authenticator.Admit(metadata, pool);
  const absl::string_view what = absl::string_view(request.path).substr(5);
  if (!caller.ok()) {
    to.Send(ErrorAnswer(caller.status()));
  } else if (!IsUtf8(pool)) {
    // No message to a router can hold it.
    to.Send(ErrorAnswer(Wanted("pool", "UTF-8", pool)));
  } else if (what == "summary") {
    to.Send(Summary(*caller));
  } else if (what == "pools") {
    deps_.view.ListPools(*caller, AnswerTo<v1::ListPoolsResponse>(to));
  } else if (what == "experts") {
    deps_.view.ListExperts(*caller, pool, AnswerTo<v1::ListExpertsResponse>(to));
  } else if (what == "budgets") {
    deps_.view.GetBudgets(*caller, AnswerTo<v1::GetBudgetResponse>(to));
  } else if (what == "decisions") {
    Decisions(*caller, request, to);
  } else {
    to.Send(ErrorAnswer(absl::NotFoundError(
        "wanted /api/summary, /api/pools, /api/experts, /api/budgets or /api/decisions")));
  }
}

HttpResponse PageApi::Summary(const Principal& caller) const {
  const PlatformView::Routers routers = deps_.view.routers();
  const nlohmann::json summary = {
      {"version", deps_.version},
      {"tenant", caller.tenant},
      {"admin", caller.rights.admin},
      {"pools", caller.rights.pools},  // empty: all
      {"serving", deps_.serving()},
      {"routers", {{"configured", routers.configured}, {"healthy", routers.healthy}}},
      {"time", absl::FormatTime(absl::RFC3339_full, deps_.clock.Now(), absl::UTCTimeZone())},
  };
  return JsonAnswer(summary.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
}

void PageApi::Decisions(const Principal& caller, const HttpRequest& request,
                        const HttpResponder& to) {
  const std::string pool = request.Parameter("pool");
  absl::Status allowed;
  if (!caller.rights.admin) {
    allowed = absl::PermissionDeniedError(absl::StrCat(
        "tenant ", caller.tenant, " may not watch decisions: it needs the admin right"));
  }
  if (AuditIsDue(caller, pool)) deps_.audit(caller, request, allowed);
  if (!allowed.ok()) return to.Send(ErrorAnswer(allowed));
  const absl::StatusOr<uint64_t> after = ReadAfter(request);
  if (!after.ok()) return to.Send(ErrorAnswer(after.status()));
  const absl::StatusOr<absl::Duration> wait = ReadWait(request);
  if (!wait.ok()) return to.Send(ErrorAnswer(wait.status()));
  deps_.feed->Read(*after, deps_.clock.Now() + *wait,
                   [to, caller, pool](DecisionFeed::Batch batch) {
                     to.Make([batch = std::move(batch), caller, pool] {
                       return DecisionsAnswer(batch, caller, pool);
                     });
                   });
}

bool PageApi::AuditIsDue(const Principal& caller, const std::string& pool) {
  const absl::Time now = deps_.clock.Now();
  MutexLock lock(mutex_);
  // Whoever fills it is written down once more than need be.
  if (audited_.size() >= kMostAudited) audited_.clear();
  absl::Time& last =
      audited_.try_emplace(absl::StrCat(caller.tenant, "\n", caller.credential, "\n", pool),
                           absl::InfinitePast()).first->second;
  if (now - last < kAuditEvery) return false;
  last = now;
  return true;
}

}  // namespace penstock::gateway
