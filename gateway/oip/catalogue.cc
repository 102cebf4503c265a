#include "gateway/oip/catalogue.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "gateway/oip/infer_forwarding.h"
#include "gateway/oip/statistics_sum.h"
#include "inference/grpc_service.pb.h"

namespace penstock::gateway {
namespace {

// Keys hold names that callers chose: past this many answers all are forgotten, and longer ones are
// never kept.
constexpr size_t kMaxKept = 1024;
constexpr size_t kMaxKey = 1024;
// What a router may take to say what it knows by heart.
constexpr absl::Duration kControlTimeout = absl::Seconds(5);

CallOptions OptionsFor(const Principal& principal, const ControlContext& context,
                       const Clock& clock) {
  CallOptions options;
  options.deadline = std::min(context.deadline, clock.Now() + kControlTimeout);
  options.metadata = TrustedMetadata(principal, context.metadata, "control");
  return options;
}

}  // namespace

bool Catalogue::FindKept(const std::string& key, google::protobuf::Message& response) const {
  MutexLock lock(mutex_);
  const auto it = kept_.find(key);
  return it != kept_.end() && deps_.clock.Now() < it->second.until &&
         response.ParseFromString(it->second.response);
}

void Catalogue::Keep(const std::string& key, const google::protobuf::Message& response) {
  if (key.size() > kMaxKey) return;
  MutexLock lock(mutex_);
  if (kept_.size() >= kMaxKept) kept_.clear();
  kept_[key] = {response.SerializeAsString(), deps_.clock.Now() + ttl_};
}

template <typename Request, typename Response, typename Method>
void Catalogue::Ask(const std::string& key, const ControlContext& context, const Request& request,
                    Response& response, Method method, ControlDone done) {
  const absl::StatusOr<Principal> principal =
      deps_.authenticator.Admit(context.metadata, request.name());
  if (!principal.ok()) return done(principal.status());
  if (FindKept(key, response)) return done(absl::OkStatus());
  const auto healthy = deps_.routers.Healthy();
  if (healthy.empty()) return done(absl::UnavailableError("no router is healthy"));
  ((*healthy.front()->control).*method)(
      request, OptionsFor(*principal, context, deps_.clock),
      [this, key, &response, done = std::move(done)](absl::StatusOr<Response> answer) mutable {
        if (answer.ok()) {
          Keep(key, *answer);
          response = *std::move(answer);
        }
        done(answer.status());
      });
}

void Catalogue::ServerReady(const ControlContext& /*context*/,
                            const inference::ServerReadyRequest& /*request*/,
                            inference::ServerReadyResponse& response, ControlDone done) {
  response.set_ready(ready_.load(std::memory_order_relaxed) &&
                     !draining_.load(std::memory_order_relaxed));
  done(absl::OkStatus());
}

void Catalogue::ServerMetadata(const ControlContext& context,
                               const inference::ServerMetadataRequest& /*request*/,
                               inference::ServerMetadataResponse& response, ControlDone done) {
  // Probes may ask whether it serves; what it is, only those who may call it.
  const absl::StatusOr<Principal> principal = deps_.authenticator.Admit(context.metadata, "");
  if (!principal.ok()) return done(principal.status());
  response.set_name("penstock");
  response.set_version(PENSTOCK_VERSION);
  for (const char* extension :
       {"binary_tensor_data", "model_configuration", "parameters", "statistics"}) {
    response.add_extensions(extension);
  }
  done(absl::OkStatus());
}

void Catalogue::ModelReady(const ControlContext& context,
                           const inference::ModelReadyRequest& request,
                           inference::ModelReadyResponse& response, ControlDone done) {
  Ask(absl::StrCat("ready\n", request.name(), "\n", request.version()), context, request, response,
      &OipControlClient::ModelReady, std::move(done));
}

void Catalogue::ModelMetadata(const ControlContext& context,
                              const inference::ModelMetadataRequest& request,
                              inference::ModelMetadataResponse& response, ControlDone done) {
  Ask(absl::StrCat("metadata\n", request.name(), "\n", request.version()), context, request,
      response, &OipControlClient::ModelMetadata, std::move(done));
}

void Catalogue::ModelConfig(const ControlContext& context,
                            const inference::ModelConfigRequest& request,
                            inference::ModelConfigResponse& response, ControlDone done) {
  Ask(absl::StrCat("config\n", request.name(), "\n", request.version()), context, request, response,
      &OipControlClient::ModelConfig, std::move(done));
}

void Catalogue::ModelStatistics(const ControlContext& context,
                                const inference::ModelStatisticsRequest& request,
                                inference::ModelStatisticsResponse& response, ControlDone done) {
  const absl::StatusOr<Principal> principal =
      deps_.authenticator.Admit(context.metadata, request.name());
  if (!principal.ok()) return done(principal.status());
  const auto healthy = deps_.routers.Healthy();
  if (healthy.empty()) return done(absl::UnavailableError("no router is healthy"));
  auto sum = std::make_shared<StatisticsSum>(healthy.size(), principal->rights, response,
                                             std::move(done));
  for (const auto& router : healthy) {
    router->control->ModelStatistics(
        request, OptionsFor(*principal, context, deps_.clock),
        [sum](absl::StatusOr<inference::ModelStatisticsResponse> part) {
          sum->Add(std::move(part));
        });
  }
}

void Catalogue::RepositoryIndex(const ControlContext& context,
                                const inference::RepositoryIndexRequest& request,
                                inference::RepositoryIndexResponse& response, ControlDone done) {
  const absl::StatusOr<Principal> principal = deps_.authenticator.Admit(context.metadata, "");
  if (!principal.ok()) return done(principal.status());
  const auto healthy = deps_.routers.Healthy();
  if (healthy.empty()) return done(absl::UnavailableError("no router is healthy"));
  healthy.front()->control->RepositoryIndex(
      request, OptionsFor(*principal, context, deps_.clock),
      [&response, rights = principal->rights,
       done = std::move(done)](absl::StatusOr<inference::RepositoryIndexResponse> answer) mutable {
        if (answer.ok()) {
          for (const auto& model : answer->models()) {
            if (rights.MayCall(model.name())) *response.add_models() = model;
          }
        }
        done(answer.status());
      });
}

}  // namespace penstock::gateway
