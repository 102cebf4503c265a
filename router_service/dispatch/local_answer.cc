#include "router_service/dispatch/local_answer.h"

#include <vector>

#include "router_service/combining/answer_set.h"
#include "router_service/combining/combiner.h"
#include "router_service/dispatch/answer.h"

namespace penstock::router {
namespace {

// The first row of an answer's probabilities; empty: it has none.
std::vector<float> FirstRow(const Bytes& body, absl::string_view output) {
  const auto outputs = DecodeAnswer(body);
  if (!outputs.ok()) return {};
  const int at = CombinedOutput(*outputs, output);
  if (at < 0) return {};
  const Tensor& tensor = (*outputs)[static_cast<size_t>(at)];
  if (tensor.datatype != DataType::kFp32) return {};
  const auto values = CheckedFloats("", tensor, /*distribution=*/true);
  if (!values.ok() || tensor.shape.empty() || tensor.shape.back() <= 0) return {};
  const size_t width = static_cast<size_t>(tensor.shape.back());
  if (values->size() < width) return {};
  return {values->begin(), values->begin() + static_cast<std::ptrdiff_t>(width)};
}

}  // namespace

std::optional<LocalAsk> LocalAskOf(const RouteRequest& request, absl::Span<const float> z) {
  const Customisation* customisation = request.pool->rooms->customisation.get();
  if (customisation == nullptr || !request.forced.empty()) return std::nullopt;
  const Customisation::Local* local = customisation->Of(request.caller.tenant);
  if (local == nullptr) return std::nullopt;
  return LocalAsk{local->expert, &local->gate, local->gate.Distance(z)};
}

bool IsOthersOrGated(const RouteRequest& request, size_t expert) {
  const Customisation* customisation = request.pool->rooms->customisation.get();
  if (customisation == nullptr || !customisation->IsLocal(expert)) return false;
  const Customisation::Local* own = customisation->Of(request.caller.tenant);
  return own == nullptr || own->expert != expert || request.forced.empty();
}

bool TakesLocal(const LocalAsk& ask, absl::string_view output, const Bytes& global,
                const Bytes& local) {
  const std::vector<float> of_global = FirstRow(global, output);
  const std::vector<float> of_local = FirstRow(local, output);
  if (of_global.empty() || of_global.size() != of_local.size()) return false;
  return ask.gate->TakesLocal(LocalGate::FeaturesOf(of_global, of_local, ask.distance));
}

}  // namespace penstock::router
