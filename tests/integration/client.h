#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "cli/client/pool_client.h"
#include "common/net/infer_call.h"
#include "common/notification.h"
#include "common/tensors/infer_message.h"

namespace penstock {

// One ModelInfer under way, as the client sees it.
class Pending {
 public:
  // The answer; a failure of the test when none came in a minute.
  const InferReply& Wait();
  bool answered() const { return done_.HasBeenNotified(); }
  void Cancel() { call_->Cancel(); }

 private:
  friend class TestClient;
  std::shared_ptr<OutgoingCall> call_;
  InferReply reply_;
  Notification done_;
};

// A client over a socket that sees what a caller sees: codes, messages, trailers, outputs.
class TestClient {
 public:
  // `key`: sent as a bearer's; empty: none. Waits until the server says that it serves.
  explicit TestClient(const std::string& address, std::string key = "");

  std::shared_ptr<Pending> Send(Bytes request, absl::Time deadline = absl::InfiniteFuture());
  std::shared_ptr<Pending> Send(const InferRequest& request,
                                absl::Time deadline = absl::InfiniteFuture()) {
    return Send(EncodeInferRequest(request), deadline);
  }
  InferReply Call(Bytes request) { return Send(std::move(request))->Wait(); }
  InferReply Call(const InferRequest& request) { return Send(request)->Wait(); }
  // Call, decoded; a failure of the test where it is refused.
  cli::Answer Answered(const InferRequest& request);
  // Until every expert of every pool that the target knows is admitted and has only healthy
  // replicas.
  bool WaitForExperts();

  cli::PoolClient& pool_client() { return *client_; }
  InferTarget& target() { return client_->target(); }
  const Metadata& metadata() const { return metadata_; }

 private:
  std::unique_ptr<cli::PoolClient> client_;
  Metadata metadata_;
};

// The reply's joules-free essence for comparison: who answered, and every output's bytes.
struct RawAnswer {
  std::string experts;
  std::string weights;
  std::vector<Tensor> outputs;
};
RawAnswer Essence(const cli::Answer& answer);
// "" or the first difference.
std::string Difference(const RawAnswer& a, const RawAnswer& b);

}  // namespace penstock
