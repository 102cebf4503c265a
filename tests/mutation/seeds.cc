#include "tests/mutation/seeds.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>
#include <google/protobuf/text_format.h>

#include <map>
#include <memory>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "grpc/health/v1/health.pb.h"
#include "gtest/gtest.h"
#include "inference/grpc_service.pb.h"
#include "penstock/v1/expert_control.pb.h"
#include "penstock/v1/routing.pb.h"
#include "xds/service/orca/v3/orca.pb.h"

namespace penstock {
namespace {

using google::protobuf::FileDescriptor;
using google::protobuf::MethodDescriptor;
using google::protobuf::ServiceDescriptor;

// Requests by method, as text. POOL stands for a pool of four numbers, or an expert's model of
// them.
const std::multimap<std::string, std::string>& Texts() {
  static const auto& texts = *new std::multimap<std::string, std::string>{
      {"ModelReady", R"(name: "POOL")"},
      {"ModelReady", R"(name: "POOL" version: "1")"},
      {"ModelMetadata", R"(name: "POOL")"},
      {"ModelConfig", R"(name: "POOL" version: "1")"},
      {"ModelStatistics", R"(name: "POOL")"},
      {"ModelStatistics", ""},
      {"RepositoryIndex", "ready: true"},
      {"RepositoryModelLoad", R"(model_name: "spare")"},
      {"RepositoryModelLoad",
       R"(model_name: "spare" parameters {key: "config" value {string_param: "{}"}}
          parameters {key: "file:1/model.safetensors" value {bytes_param: "abc"}})"},
      {"RepositoryModelUnload",
       R"(model_name: "spare" parameters {key: "unload_dependents" value {bool_param: true}})"},
      {"SystemSharedMemoryRegister", R"(name: "region" key: "/region" byte_size: 64)"},
      {"SystemSharedMemoryUnregister", R"(name: "region")"},
      {"SystemSharedMemoryStatus", R"(name: "region")"},
      {"CudaSharedMemoryRegister", R"(name: "region" raw_handle: "handle" byte_size: 64)"},
      {"CudaSharedMemoryUnregister", R"(name: "region")"},
      {"CudaSharedMemoryStatus", R"(name: "region")"},
      {"TraceSetting", R"(settings {key: "trace_rate" value {value: "1000"}} model_name: "POOL")"},
      {"LogSettings", R"(settings {key: "log_verbose_level" value {uint32_param: 1}})"},
      {"Report", R"(decision_id: "01234567-0123456789abcdef" quality: 0.5)"},
      {"ListExperts", R"(pool: "POOL")"},
      {"GetBudget", R"(pool: "POOL" tenant: "alice")"},
      {"SetBudget",
       R"(pool: "budgeted" budget {resource: JOULES amount: 1000000 per: DAY tenant: "bob"})"},
      {"SetBudget", R"(pool: "budgeted" budget {resource: REQUESTS amount: 0 per: DAY})"},
      {"GetShadow", R"(pool: "POOL")"},
      {"Promote", R"(pool: "POOL" version: "0123")"},
      {"GetPlan", R"(pool: "POOL")"},
      {"WatchDecisions", R"(pool: "POOL")"},
      {"Describe", R"(model: "POOL")"},
      {"WatchLoad", "interval {nanos: 20000000}"},
      {"Prefetch", R"(models: "POOL" models: "spare")"},
      {"Check", R"(service: "inference.GRPCInferenceService")"},
      {"Watch", ""},
      {"StreamCoreMetrics", "report_interval {seconds: 1}"},
  };
  return texts;
}

// ModelInfer requests of the pool or model `name`: typed, raw, and with what callers add.
std::vector<std::string> NumbersRequests(const std::string& name) {
  const std::vector<std::string> texts = {
      R"(model_name: "POOL" inputs {name: "x" datatype: "FP32" shape: [1, 4]
         contents {fp32_contents: [1, 2, 3, 4]}})",
      R"(model_name: "POOL" model_version: "1" id: "a" inputs {name: "x" datatype: "FP32"
         shape: [2, 4]} outputs {name: "y"}
         raw_input_contents: "\0\0\200\077\0\0\0\100\0\0\100\100\0\0\200\100\0\0\200\277\0\0\0\0\0\0\200\077\0\0\0\077")"};
  std::vector<std::string> requests;
  for (const std::string& text : texts) {
    requests.push_back(absl::StrReplaceAll(text, {{"POOL", name}}));
  }
  return requests;
}

std::vector<std::string> InferRequests(Target target) {
  std::vector<std::string> requests;
  const std::vector<std::string> names =
      target == Target::kExpert
          ? std::vector<std::string>{"tiny", "other"}
          : std::vector<std::string>{"plain", "pair", "rows", "kept", "pooled", "budgeted"};
  for (const std::string& name : names) {
    for (std::string& request : NumbersRequests(name)) requests.push_back(std::move(request));
  }
  // Three inputs, one of them BYTES, typed and raw.
  const std::string echo = target == Target::kExpert ? "echo" : "texts";
  requests.push_back(absl::StrCat(R"(model_name: ")", echo, R"(" id: "b"
      inputs {name: "floats" datatype: "FP32" shape: [1, 2] contents {fp32_contents: [1, 2]}}
      inputs {name: "ids" datatype: "INT64" shape: [2] contents {int64_contents: [7, -7]}}
      inputs {name: "texts" datatype: "BYTES" shape: [1]
              contents {bytes_contents: "What is the sum of 2 and 3?"}})"));
  requests.push_back(absl::StrCat(R"(model_name: ")", echo, R"("
      inputs {name: "floats" datatype: "FP32" shape: [0, 2]}
      inputs {name: "ids" datatype: "INT64" shape: [1]}
      inputs {name: "texts" datatype: "BYTES" shape: [2]}
      raw_input_contents: "" raw_input_contents: "\1\0\0\0\0\0\0\0"
      raw_input_contents: "\2\0\0\0Hi\0\0\0\0")"));
  if (target == Target::kExpert) return requests;
  requests.push_back(R"(model_name: "pair" id: "c"
      parameters {key: "penstock_energy_budget_j" value {double_param: 5}}
      parameters {key: "penstock_latency_budget_ms" value {int64_param: 5000}}
      parameters {key: "penstock_min_quality" value {double_param: 0.1}}
      parameters {key: "penstock_objective" value {string_param: "energy"}}
      parameters {key: "penstock_max_experts" value {int64_param: 1}}
      parameters {key: "penstock_class" value {string_param: "gold"}}
      parameters {key: "penstock_experts" value {string_param: "tiny, other"}}
      parameters {key: "penstock_explain" value {bool_param: true}}
      parameters {key: "penstock_cache" value {string_param: "bypass"}}
      parameters {key: "timeout" value {uint64_param: 5000000}}
      parameters {key: "sequence_id" value {int64_param: 0}}
      inputs {name: "x" datatype: "FP32" shape: [1, 4] contents {fp32_contents: [1, 2, 3, 4]}})");
  return requests;
}

std::string Serialised(const google::protobuf::Descriptor* type, const std::string& text) {
  const std::unique_ptr<google::protobuf::Message> message(
      google::protobuf::MessageFactory::generated_factory()->GetPrototype(type)->New());
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, message.get())) << text;
  return message->SerializeAsString();
}

std::vector<std::string> RequestsOf(Target target, const MethodDescriptor& method) {
  const std::string name = method.name();
  if (name == "ModelInfer" || name == "ModelStreamInfer") return InferRequests(target);
  std::vector<std::string> texts;
  if (name == "Explain") {
    for (const std::string& request : InferRequests(target)) {
      texts.push_back(absl::StrCat("request {", request, "}"));
    }
    return texts;
  }
  const auto [begin, end] = Texts().equal_range(name);
  for (auto it = begin; it != end; ++it) {
    texts.push_back(
        absl::StrReplaceAll(it->second, {{"POOL", target == Target::kExpert ? "tiny" : "plain"}}));
  }
  if (texts.empty()) texts.push_back("");
  return texts;
}

}  // namespace

const char* TargetName(Target target) {
  switch (target) {
    case Target::kGateway:
      return "gateway";
    case Target::kRouter:
      return "router";
    case Target::kExpert:
      return "expert";
  }
  return "?";
}

std::vector<Seed> SeedsFor(Target target) {
  const FileDescriptor* const files[] = {
      inference::ModelInferRequest::descriptor()->file(), v1::ExplainRequest::descriptor()->file(),
      v1::WatchLoadRequest::descriptor()->file(),
      ::grpc::health::v1::HealthCheckRequest::descriptor()->file(),
      xds::service::orca::v3::OrcaLoadReportRequest::descriptor()->file()};
  std::vector<Seed> seeds;
  for (const FileDescriptor* file : files) {
    for (int s = 0; s < file->service_count(); ++s) {
      const ServiceDescriptor& service = *file->service(s);
      for (int m = 0; m < service.method_count(); ++m) {
        const MethodDescriptor& method = *service.method(m);
        for (const std::string& text : RequestsOf(target, method)) {
          seeds.push_back({.path = absl::StrCat("/", service.full_name(), "/", method.name()),
                           .request = method.input_type(),
                           .response = method.output_type(),
                           .client_streams = method.client_streaming(),
                           .server_streams = method.server_streaming(),
                           .message = Serialised(method.input_type(), text)});
        }
      }
    }
  }
  // ServerReflectionRequest.list_services = "".
  seeds.push_back({.path = "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
                   .client_streams = true,
                   .server_streams = true,
                   .message = std::string("\x3a\x00", 2)});
  for (const char* path :
       {"/inference.GRPCInferenceService/ModelForget", "/nothing.Known/Here", "/", "//",
        "/inference.GRPCInferenceService/", "/inference.GRPCInferenceService/modelinfer"}) {
    seeds.push_back({.path = path, .message = "\x0a\x01p"});
  }
  return seeds;
}

const std::vector<std::string>& KnownWords() {
  static const auto& words = *new std::vector<std::string>{"plain",
                                                           "pair",
                                                           "rows",
                                                           "kept",
                                                           "pooled",
                                                           "budgeted",
                                                           "texts",
                                                           "tiny",
                                                           "other",
                                                           "echo",
                                                           "spare",
                                                           "x",
                                                           "y",
                                                           "floats",
                                                           "ids",
                                                           "alice",
                                                           "bob",
                                                           "anonymous",
                                                           "default",
                                                           "gold",
                                                           "1",
                                                           "2",
                                                           "BOOL",
                                                           "UINT8",
                                                           "UINT16",
                                                           "UINT32",
                                                           "UINT64",
                                                           "INT8",
                                                           "INT16",
                                                           "INT32",
                                                           "INT64",
                                                           "FP16",
                                                           "BF16",
                                                           "FP32",
                                                           "FP64",
                                                           "BYTES",
                                                           "fp32",
                                                           "STRING",
                                                           "penstock_energy_budget_j",
                                                           "penstock_latency_budget_ms",
                                                           "penstock_min_quality",
                                                           "penstock_objective",
                                                           "penstock_max_experts",
                                                           "penstock_class",
                                                           "penstock_experts",
                                                           "penstock_explain",
                                                           "penstock_cache",
                                                           "penstock_",
                                                           "penstock_energy_j",
                                                           "timeout",
                                                           "priority",
                                                           "sequence_id",
                                                           "sequence_start",
                                                           "sequence_end",
                                                           "classification",
                                                           "binary_data_size",
                                                           "binary_data",
                                                           "shared_memory_region",
                                                           "shared_memory_offset",
                                                           "shared_memory_byte_size",
                                                           "triton_enable_empty_final_response",
                                                           "quality",
                                                           "energy",
                                                           "latency",
                                                           "use",
                                                           "bypass",
                                                           "inference.GRPCInferenceService",
                                                           "config",
                                                           "unload_dependents"};
  return words;
}

}  // namespace penstock
