#pragma once

#include <grpcpp/support/byte_buffer.h>

#include <deque>
#include <list>
#include <memory>

#include "absl/status/status.h"
#include "common/bytes.h"
#include "common/mutex.h"
#include "common/net/infer_call.h"
#include "common/net/oip/oip_core.h"
#include "common/net/rpc/server_rpc.h"

namespace penstock {

class StreamCall;

// One ModelStreamInfer: every message becomes a call of its own, answered in order of completion.
// The RPC's own status stays OK; errors of a message travel in its answer. At most one read and one
// write are outstanding. Lives until gRPC is done with it and every call has let go of it.
class InferStream final : public ServerRpc,
                          public std::enable_shared_from_this<InferStream> {
 public:
  // Owns itself until OnDone.
  static void Open(OipCore& core, std::unique_ptr<RpcArrival> arrival);

  // Takes no more messages, answers those taken, and finishes with UNAVAILABLE.
  void End();

  const Metadata& metadata() const { return metadata_; }
  const Caller& caller() const { return caller_; }
  absl::Time deadline() const { return deadline_; }

 private:
  friend class StreamCall;
  using Calls = std::list<std::weak_ptr<StreamCall>>;

  InferStream(OipCore& core, std::unique_ptr<RpcArrival> arrival);

  void OnReadDone(bool ok) override;
  void OnWriteDone(bool ok) override;
  void OnCancel() override;
  void OnDone() override;

  void Answer(Calls::iterator call, grpc::ByteBuffer message);
  // Starts what the state allows, without the lock: it may run reactions.
  void Pump();

  OipCore& core_;
  const Metadata metadata_;
  const Caller caller_;
  const absl::Time deadline_;
  std::shared_ptr<InferStream> self_;  // until OnDone

  grpc::ByteBuffer reading_;
  grpc::ByteBuffer writing_;

  Mutex mutex_;
  bool read_wanted_ ABSL_GUARDED_BY(mutex_) = true;
  bool starting_read_ ABSL_GUARDED_BY(mutex_) = false;
  bool write_in_flight_ ABSL_GUARDED_BY(mutex_) = false;
  bool reads_done_ ABSL_GUARDED_BY(mutex_) = false;
  bool gone_ ABSL_GUARDED_BY(mutex_) = false;  // the client cancelled, or writes fail
  bool ending_ ABSL_GUARDED_BY(mutex_) = false;
  bool finished_ ABSL_GUARDED_BY(mutex_) = false;
  Calls calls_ ABSL_GUARDED_BY(mutex_);                      // with the handler
  std::deque<grpc::ByteBuffer> answers_ ABSL_GUARDED_BY(mutex_);  // to be written
};

}  // namespace penstock
