#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/functional/any_invocable.h"
#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "common/bytes.h"

// A unary ModelInfer as both sides see it, free of gRPC types: routing, batching and dispatch are
// written and tested against these, and common/net binds them to sockets.

namespace penstock {

// gRPC metadata: lower-case keys; values of keys that end in "-bin" are bytes.
using Metadata = std::vector<std::pair<std::string, std::string>>;

// The first value of `key`, or empty.
absl::string_view FindMetadata(const Metadata& metadata, absl::string_view key);

// The answer to one call: `body` is a serialized ModelInferResponse where status is OK.
struct InferReply {
  absl::Status status;
  Bytes body;
  Metadata trailers;
  // The connection ended the call, or there was none: `status` is not the server's word.
  bool connection_lost = false;
};

// How far the caller's word is believed: `trusted` callers may name a tenant in metadata.
struct Caller {
  // In-process channel, a certificate name in the trusted list, or trust_plaintext.
  bool trusted = false;
  std::string certificate_name;  // empty: none shown
  std::string peer;              // gRPC's peer string, for logs
};

// One call that came in. The server owns it through the shared_ptr that the handler holds; it must
// be finished exactly once, from any thread. Dropping the last reference unfinished answers
// INTERNAL.
class IncomingCall {
 public:
  virtual ~IncomingCall() = default;
  virtual const Bytes& request() const = 0;  // serialized ModelInferRequest
  virtual absl::Time deadline() const = 0;   // absl::InfiniteFuture(): none
  virtual const Metadata& metadata() const = 0;
  virtual const Caller& caller() const = 0;
  // One message of a ModelStreamInfer.
  virtual bool streamed() const { return false; }
  // `on_cancel` runs at most once, on any thread, possibly before this returns, when the client
  // goes away or the deadline passes before Finish. At most one handler.
  virtual void SetCancelHandler(absl::AnyInvocable<void()> on_cancel) = 0;
  virtual void Finish(InferReply reply) = 0;
};

// What a service does with ModelInfer. Called on a completion-queue thread: must not block.
class InferHandler {
 public:
  virtual ~InferHandler() = default;
  virtual void ModelInfer(std::shared_ptr<IncomingCall> call) = 0;
};

// One call that went out. Thread-safe.
class OutgoingCall {
 public:
  virtual ~OutgoingCall() = default;
  // The callback still runs, with CANCELLED unless an answer came first.
  virtual void Cancel() = 0;
};

struct CallOptions {
  absl::Time deadline = absl::InfiniteFuture();
  Metadata metadata;
  // Waits for a connection rather than failing without one.
  bool wait_for_ready = false;
};

// One endpoint that serves ModelInfer.
class InferTarget {
 public:
  virtual ~InferTarget() = default;
  // `done` runs exactly once, on any thread, possibly before this returns. It must not block.
  virtual std::shared_ptr<OutgoingCall> ModelInfer(
      Bytes request, CallOptions options, absl::AnyInvocable<void(InferReply)> done) = 0;
  // False while grpc.health.v1 says it does not serve, or it cannot be reached.
  virtual bool healthy() const = 0;
  virtual absl::string_view address() const = 0;
};

}  // namespace penstock
