#include "common/metrics/certificate_metrics.h"

#include <prometheus/gauge.h>
#include <prometheus/registry.h>

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "common/logging/log.h"
#include "common/metrics/certificate_expiry.h"
#include "penstock/config/v1/server.pb.h"

namespace penstock {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

void Add(CertificateFiles& files, const char* use, const std::string& path) {
  if (!path.empty()) files[use].insert(path);
}

void AddTls(const FieldDescriptor& field, const config::v1::Tls& tls, CertificateFiles& files) {
  const bool of_server = field.containing_type() == config::v1::Server::descriptor();
  if (of_server && field.name() == "tls") {
    Add(files, "grpc_server", tls.certificate_file());
    Add(files, "grpc_client_ca", tls.client_ca_file());
    return;
  }
  // Few scrape and few look: who may is no use of its own.
  const char* const use = of_server ? "metrics_server" : "page_server";
  Add(files, use, tls.certificate_file());
  Add(files, use, tls.client_ca_file());
}

void AddAll(const Message& message, CertificateFiles& files);

void AddField(const FieldDescriptor& field, const Message& value, CertificateFiles& files) {
  if (value.GetDescriptor() == config::v1::Tls::descriptor()) {
    AddTls(field, static_cast<const config::v1::Tls&>(value), files);
  } else if (value.GetDescriptor() == config::v1::Endpoint::descriptor()) {
    const auto& endpoint = static_cast<const config::v1::Endpoint&>(value);
    Add(files, "client", endpoint.certificate_file());
    Add(files, "server_ca", endpoint.ca_file());
  } else {
    AddAll(value, files);
  }
}

void AddAll(const Message& message, CertificateFiles& files) {
  const google::protobuf::Reflection& reflection = *message.GetReflection();
  std::vector<const FieldDescriptor*> fields;
  reflection.ListFields(message, &fields);
  for (const FieldDescriptor* field : fields) {
    if (field->cpp_type() != FieldDescriptor::CPPTYPE_MESSAGE) continue;
    if (!field->is_repeated()) {
      AddField(*field, reflection.GetMessage(message, field), files);
      continue;
    }
    for (int i = 0; i < reflection.FieldSize(message, field); ++i) {
      AddField(*field, reflection.GetRepeatedMessage(message, field, i), files);
    }
  }
}

}  // namespace

CertificateFiles CertificateFilesOf(const Message& config) {
  CertificateFiles files;
  AddAll(config, files);
  return files;
}

struct CertificateMetrics::State {
  explicit State(prometheus::Registry& registry)
      : family(prometheus::BuildGauge()
                   .Name("penstock_certificate_expiry_timestamp_seconds")
                   .Help("When the first of the certificates of this use ends, seconds since the "
                         "epoch.")
                   .Register(registry)) {}

  // What was read of a file last.
  struct Read {
    absl::Time expiry = absl::InfiniteFuture();  // nothing yet
    bool told = false;                           // that it cannot be read
  };

  void ReadFile(const std::string& path, Read& last) {
    const absl::StatusOr<absl::Time> expiry = EarliestExpiry(path);
    if (expiry.ok()) {
      last = {*expiry, false};
    } else if (!last.told) {
      LogWarning("certificate_unreadable").With("reason", expiry.status().message());
      last.told = true;
    }
  }

  // Without a file that was ever read there is no sample.
  void Export(const std::string& use, absl::Time earliest) {
    prometheus::Gauge*& gauge = gauges[use];
    if (earliest == absl::InfiniteFuture()) {
      if (gauge != nullptr) family.Remove(std::exchange(gauge, nullptr));
      return;
    }
    if (gauge == nullptr) gauge = &family.Add({{"use", use}});
    gauge->Set(static_cast<double>(absl::ToUnixSeconds(earliest)));
  }

  prometheus::Family<prometheus::Gauge>& family;
  CertificateFiles files;
  std::map<std::string, Read> reads;                 // by path, of those in use
  std::map<std::string, prometheus::Gauge*> gauges;  // by use; null: it has no sample
};

CertificateMetrics::CertificateMetrics(prometheus::Registry& registry)
    : state_(std::make_unique<State>(registry)) {}

CertificateMetrics::~CertificateMetrics() = default;

void CertificateMetrics::Use(CertificateFiles files) {
  state_->files = std::move(files);
  Refresh();
}

void CertificateMetrics::Refresh() {
  std::map<std::string, State::Read> reads;
  for (const auto& [use, paths] : state_->files) {
    for (const std::string& path : paths) {
      if (reads.count(path) > 0) continue;
      State::Read last = state_->reads[path];
      state_->ReadFile(path, last);
      reads[path] = last;
    }
  }
  state_->reads = std::move(reads);
  for (const auto& [use, gauge] : state_->gauges) {
    if (state_->files.count(use) == 0) state_->Export(use, absl::InfiniteFuture());
  }
  for (const auto& [use, paths] : state_->files) {
    absl::Time earliest = absl::InfiniteFuture();
    for (const std::string& path : paths) earliest = std::min(earliest, state_->reads[path].expiry);
    state_->Export(use, earliest);
  }
}

}  // namespace penstock
