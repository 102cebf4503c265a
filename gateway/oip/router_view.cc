#include "gateway/oip/router_view.h"

#include <algorithm>
#include <limits>
#include <utility>
#include <vector>

#include "common/net/infer_call.h"
#include "gateway/oip/decision_merge.h"
#include "gateway/oip/infer_forwarding.h"
#include "gateway/page/status_merge.h"

namespace penstock::gateway {
namespace {

// What a router may take to say what it knows by heart.
constexpr absl::Duration kPatience = absl::Seconds(5);
constexpr char kRequestId[] = "page";
constexpr size_t kAll = std::numeric_limits<size_t>::max();

// The answers of several routers to one call.
template <class Response>
class Answers {
 public:
  using Then = absl::AnyInvocable<void(absl::StatusOr<std::vector<Response>>)>;
  Answers(size_t count, Then then) : awaited_(count), then_(std::move(then)) {}

  void Add(absl::StatusOr<Response> answer) {
    {
      MutexLock lock(mutex_);
      if (answer.ok()) {
        parts_.push_back(*std::move(answer));
      } else if (first_error_.ok()) {
        first_error_ = answer.status();
      }
      if (--awaited_ > 0) return;
    }
    // The last one is alone.
    if (parts_.empty()) return then_(first_error_);
    then_(std::move(parts_));
  }

 private:
  Mutex mutex_;
  size_t awaited_;
  absl::Status first_error_;
  std::vector<Response> parts_;
  Then then_;
};

}  // namespace

template <class Request, class Response, class Merge>
void RouterView::Ask(const char* path, const Principal& caller, const Request& request,
                     size_t most, Merge merge, Done<Response> done) const {
  auto routers = routers_.Healthy();
  if (routers.empty()) return done(absl::UnavailableError("no router is healthy"));
  if (routers.size() > most) routers.resize(most);
  CallOptions options;
  options.deadline = clock_.Now() + kPatience;
  options.metadata = TrustedMetadata(caller, {}, kRequestId);
  auto answers = std::make_shared<Answers<Response>>(
      routers.size(), [merge = std::move(merge), done = std::move(done)](
                          absl::StatusOr<std::vector<Response>> parts) mutable {
        done(parts.ok() ? absl::StatusOr<Response>(merge(*parts)) : parts.status());
      });
  for (const auto& router : routers) {
    router->target->rpc().Call<Response>(
        path, request, options,
        [answers](absl::StatusOr<Response> answer) { answers->Add(std::move(answer)); });
  }
}

void RouterView::ListPools(const Principal& caller, Done<v1::ListPoolsResponse> done) {
  Ask<v1::ListPoolsRequest, v1::ListPoolsResponse>("/penstock.v1.Routing/ListPools", caller, {},
                                                   kAll, MergePools, std::move(done));
}

void RouterView::ListExperts(const Principal& caller, const std::string& pool,
                             Done<v1::ListExpertsResponse> done) {
  v1::ListExpertsRequest request;
  request.set_pool(pool);
  Ask<v1::ListExpertsRequest, v1::ListExpertsResponse>(
      "/penstock.v1.Routing/ListExperts", caller, request, kAll, MergeExperts, std::move(done));
}

void RouterView::GetBudgets(const Principal& caller, Done<v1::GetBudgetResponse> done) {
  v1::GetBudgetRequest request;
  request.set_all(true);
  Ask<v1::GetBudgetRequest, v1::GetBudgetResponse>(
      "/penstock.v1.Routing/GetBudget", caller, request, 1,
      [](const std::vector<v1::GetBudgetResponse>& parts) { return parts[0]; }, std::move(done));
}

PlatformView::Routers RouterView::routers() const {
  return {routers_.all().size(), routers_.Healthy().size()};
}

void DecisionWatch::Watch() {
  std::vector<std::pair<std::shared_ptr<const Router>, uint64_t>> fresh;
  std::vector<Stream> left;
  {
    MutexLock lock(mutex_);
    const RouterSet::Routers all = routers_.all();
    for (auto it = streams_.begin(); it != streams_.end();) {
      if (std::find(all.begin(), all.end(), it->second.router) == all.end()) {
        left.push_back(std::move(it->second));
        it = streams_.erase(it);
      } else {
        ++it;
      }
    }
    for (const auto& router : routers_.Healthy()) {
      if (streams_.try_emplace(router.get(), Stream{router, next_id_, nullptr}).second) {
        fresh.emplace_back(router, next_id_++);
      }
    }
  }
  for (const Stream& stream : left) {
    if (stream.call != nullptr) stream.call->Cancel();
  }
  for (const auto& [router, id] : fresh) Open(router, id);
}

void DecisionWatch::Open(const std::shared_ptr<const Router>& router, uint64_t id) {
  // On the gateway's own behalf: who may see which decision is told when they are read.
  Principal self;
  self.tenant = "penstock-page";
  self.rights.admin = true;
  CallOptions options;
  options.metadata = TrustedMetadata(self, {}, kRequestId);
  auto call = router->target->rpc().ServerStream(
      kWatchDecisions, Bytes(v1::WatchDecisionsRequest().SerializeAsString()), options,
      [feed = feed_](Bytes decision) {
        if (const auto to = feed.lock(); to != nullptr) to->Push(std::move(decision));
      },
      [watching = weak_from_this(), key = router.get(), id](const absl::Status& /*status*/) {
        if (const auto watch = watching.lock(); watch != nullptr) watch->Ended(key, id);
      });
  {
    MutexLock lock(mutex_);
    const auto it = streams_.find(router.get());
    if (it != streams_.end() && it->second.id == id) {
      it->second.call = std::move(call);
      return;
    }
  }
  call->Cancel();  // it has ended, or is not wanted any more
}

void DecisionWatch::Ended(const Router* router, uint64_t id) {
  Stream last;  // let go of without the lock
  MutexLock lock(mutex_);
  const auto it = streams_.find(router);
  if (it == streams_.end() || it->second.id != id) return;
  last = std::move(it->second);
  streams_.erase(it);
}

void DecisionWatch::Unwatch() {
  std::map<const Router*, Stream> ended;
  {
    MutexLock lock(mutex_);
    ended.swap(streams_);
  }
  for (const auto& [router, stream] : ended) {
    if (stream.call != nullptr) stream.call->Cancel();
  }
}

}  // namespace penstock::gateway
