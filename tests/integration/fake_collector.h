#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "common/mutex.h"
#include "opentelemetry/proto/trace/v1/trace.pb.h"

namespace grpc {
class Server;
}  // namespace grpc

namespace penstock {

// A span as a collector has it, with the service that sent it.
struct CollectedSpan {
  std::string service;  // service.name
  opentelemetry::proto::trace::v1::Span span;

  // Attributes; empty or 0 where there is none.
  std::string Text(const std::string& key) const;
  int64_t Count(const std::string& key) const;
  double Number(const std::string& key) const;
  bool failed() const;
};

// A collector of OTLP/gRPC on a free port, in this process, that keeps what it is sent.
class FakeCollector {
 public:
  FakeCollector();
  // Ends calls that are held.
  ~FakeCollector();

  const std::string& address() const { return address_; }
  // From now on messages are not answered: their senders wait until they give up.
  void Hold();

  std::vector<CollectedSpan> All() const;
  // Those of a trace, its id in bytes.
  std::vector<CollectedSpan> OfTrace(const std::string& trace_id) const;
  // Those whose attribute `key` is `text`.
  std::vector<CollectedSpan> With(const std::string& key, const std::string& text) const;

 private:
  class Service;

  std::vector<CollectedSpan> Which(const std::function<bool(const CollectedSpan&)>& wanted) const;

  const std::unique_ptr<Service> service_;
  std::string address_;
  std::unique_ptr<grpc::Server> server_;
};

}  // namespace penstock
