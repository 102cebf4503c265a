#include "gateway/oip/request_span.h"

#include "common/tensors/infer_message.h"
#include "common/tracing/infer_trace.h"

namespace penstock::gateway {
namespace {

struct Told {
  const char* parameter;
  const char* attribute;
};
constexpr Told kTold[] = {{"penstock_decision_id", kSpanDecision},
                          {"penstock_experts", kSpanExperts},
                          {"penstock_energy_j", kSpanJoules},
                          {"penstock_energy_method", kSpanEnergyMethod},
                          {"penstock_cache", kSpanCache}};

void Tell(const char* attribute, const ParameterValue& value, Span& span) {
  if (const auto* text = std::get_if<std::string>(&value)) span.Set(attribute, *text);
  if (const auto* number = std::get_if<double>(&value)) span.Set(attribute, *number);
}

}  // namespace

void DescribeRequest(const std::string& pool, const std::string& tenant,
                     const std::string& request_id, const Bytes& body, Span& span) {
  span.Set(kSpanPool, pool);
  span.Set(kSpanTenant, tenant);
  span.Set(kSpanRequest, request_id);
  if (body.empty()) return;
  const auto answer = ScanInferResponse(body);
  if (!answer.ok()) return;
  for (const Parameter& parameter : answer->parameters) {
    for (const Told& told : kTold) {
      if (parameter.name == told.parameter) Tell(told.attribute, parameter.value, span);
    }
  }
}

}  // namespace penstock::gateway
