#include "gateway/caching/response_cache.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "common/status_macros.h"

namespace penstock::gateway {

absl::Status ResponseCache::CheckStore(const CacheOptions& options) {
  const absl::Status status = CheckStoreAddress(options.store);
  if (status.ok()) return status;
  return absl::Status(status.code(), absl::StrCat("cache.store: ", status.message()));
}

absl::StatusOr<std::unique_ptr<ResponseCache>> ResponseCache::Create(const CacheOptions& options,
                                                                     const Deps& deps) {
  PENSTOCK_RETURN_IF_ERROR(CheckStore(options));
  std::unique_ptr<Store> store;
  if (!options.store.empty()) {
    PENSTOCK_ASSIGN_OR_RETURN(store, MakeStore(options.store, deps.clock, deps.seed));
  }
  return std::unique_ptr<ResponseCache>(new ResponseCache(options, deps, std::move(store)));
}

ResponseCache::ResponseCache(const CacheOptions& options, const Deps& deps,
                             std::unique_ptr<Store> store)
    : shared_(store == nullptr ? nullptr
                               : std::make_unique<SharedCache>(
                                     *store, deps.clock, deps.observer,
                                     SharedCache::Options{options.store_timeout,
                                                          options.max_store_entry_bytes})),
      answers_(options.max_bytes,
               AnswerCache::Deps{deps.clock, policies_, deps.observer, shared_.get()}),
      flights_(Flights::Deps{answers_, deps.forwarder, deps.clock, deps.timers, deps.observer}),
      forwarder_(CachingForwarder::Deps{policies_, answers_, flights_, deps.forwarder, deps.clock,
                                        deps.observer}),
      store_(std::move(store)) {}

}  // namespace penstock::gateway
