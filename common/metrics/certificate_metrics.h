#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>

#include "google/protobuf/message.h"

namespace prometheus {
class Registry;
}  // namespace prometheus

namespace penstock {

// By what they are used for ("grpc_server"), the PEM files of certificates that a configuration
// names.
using CertificateFiles = std::map<std::string, std::set<std::string>>;

// Of a service's whole configuration: wherever it has a Tls or an Endpoint.
CertificateFiles CertificateFilesOf(const google::protobuf::Message& config);

// When the certificates in use end. Reads files: one caller at a time, on a thread that may block.
class CertificateMetrics {
 public:
  explicit CertificateMetrics(prometheus::Registry& registry);
  ~CertificateMetrics();

  // These and no others, from here on.
  void Use(CertificateFiles files);
  // Reads the files again. Of one that cannot be read what it last held counts, and the log says so
  // once.
  void Refresh();

 private:
  struct State;
  const std::unique_ptr<State> state_;
};

}  // namespace penstock
