#include "tests/mutation/caller.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>
#include <grpcpp/client_context.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/security/credentials.h>
#include <grpcpp/support/byte_buffer.h>
#include <grpcpp/support/client_callback.h>
#include <grpcpp/support/proto_buffer_reader.h>

#include <atomic>
#include <chrono>
#include <utility>
#include <vector>

#include "absl/time/clock.h"

namespace penstock {
namespace {

constexpr std::chrono::milliseconds kWatchPeriod(10);
constexpr int kMostLost = 3;

// gRPC's client says so of every call of a connection that was closed or reset.
bool LostItsConnection(const Outcome& outcome) {
  if (outcome.left || outcome.status.error_code() != grpc::StatusCode::UNAVAILABLE) return false;
  const std::string& message = outcome.status.error_message();
  for (const char* said :
       {"Socket closed", "Transport closed", "Broken pipe", "Connection reset"}) {
    if (message.find(said) != std::string::npos) return true;
  }
  return false;
}

// Empty: it is a message of `type`.
std::string BrokenAnswer(const google::protobuf::Descriptor* type, grpc::ByteBuffer& answer) {
  if (type == nullptr) return "";
  const std::unique_ptr<google::protobuf::Message> message(
      google::protobuf::MessageFactory::generated_factory()->GetPrototype(type)->New());
  grpc::ProtoBufferReader reader(&answer);
  if (message->ParseFromZeroCopyStream(&reader)) return "";
  return "the answer is not a " + type->full_name();
}

}  // namespace

class MutationCaller::Call final
    : public grpc::ClientBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer>,
      public std::enable_shared_from_this<Call> {
 public:
  Call(MutationCaller& caller, std::shared_ptr<grpc::Channel> channel, MutatedCall call,
       int lost_connections)
      : caller_(caller), channel_(std::move(channel)), stub_(channel_), call_(std::move(call)) {
    outcome_.lost_connections = lost_connections;
    for (const std::string& message : call_.messages) {
      grpc::Slice slice(message);
      messages_.emplace_back(&slice, 1);
    }
    for (const auto& [key, value] : call_.metadata) context_.AddMetadata(key, value);
    if (call_.timeout.has_value()) {
      context_.set_deadline(absl::ToChronoTime(absl::Now() + *call_.timeout));
    }
    if (call_.gzip) context_.set_compression_algorithm(GRPC_COMPRESS_GZIP);
  }

  void Start() {
    self_ = shared_from_this();
    stub_.PrepareBidiStreamingCall(&context_, call_.path, grpc::StubOptions(), this);
    StartRead(&read_);
    SendNext();
    const std::shared_ptr<Call> self = self_;  // it may end before this returns
    StartCall();
    started_.store(absl::ToUnixMicros(absl::Now()));
    if (call_.leaves_after == absl::ZeroDuration()) Leave();
  }

  // Whether it has to leave now.
  void LeaveIfDue(absl::Time now) {
    const int64_t started = started_.load();
    if (started == 0) return;
    const absl::Duration open = now - absl::FromUnixMicros(started);
    if (call_.leaves_after.has_value() && open > *call_.leaves_after) {
      Leave();
    } else if (open > caller_.options_.patience && !overdue_.exchange(true)) {
      context_.TryCancel();
    }
  }

  const MutatedCall& call() const { return call_; }

 private:
  void Leave() {
    if (!left_.exchange(true)) context_.TryCancel();
  }

  void SendNext() {
    if (sent_ < messages_.size()) {
      StartWrite(&messages_[sent_++]);
    } else if (call_.half_closes) {
      StartWritesDone();
    }
  }
  void OnWriteDone(bool ok) override {
    if (ok) SendNext();
  }
  void OnReadDone(bool ok) override {
    if (!ok) return;
    if (++outcome_.answers == 1) outcome_.broken_answer = BrokenAnswer(call_.response, read_);
    read_.Clear();
    StartRead(&read_);
  }
  void OnDone(const grpc::Status& status) override {
    outcome_.status = status;
    outcome_.left = left_.load();
    outcome_.overdue = overdue_.load();
    const std::shared_ptr<Call> last = std::move(self_);
    caller_.Ended(last, outcome_);
  }

  MutationCaller& caller_;
  const std::shared_ptr<grpc::Channel> channel_;
  grpc::GenericStub stub_;
  const MutatedCall call_;
  std::vector<grpc::ByteBuffer> messages_;
  size_t sent_ = 0;
  std::atomic<int64_t> started_{0};  // microseconds since the epoch; 0: it has not begun
  grpc::ClientContext context_;
  grpc::ByteBuffer read_;
  Outcome outcome_;
  std::atomic<bool> left_{false};
  std::atomic<bool> overdue_{false};
  std::shared_ptr<Call> self_;  // until OnDone
};

MutationCaller::MutationCaller(Options options, OnOutcome on_outcome)
    : options_(std::move(options)),
      on_outcome_(std::move(on_outcome)),
      watcher_([this] { Watch(); }) {}

MutationCaller::~MutationCaller() {
  WaitForAll();
  {
    std::lock_guard<std::mutex> lock(mutex_);
    stop_ = true;
  }
  changed_.notify_all();
  watcher_.join();
}

void MutationCaller::Send(MutatedCall call) {
  std::shared_ptr<grpc::Channel> channel;
  {
    std::unique_lock<std::mutex> lock(mutex_);
    changed_.wait(lock, [this] { return calls_.size() < options_.concurrency; });
    Connection& connection = connections_[static_cast<size_t>(call.target)];
    if (connection.channel == nullptr || ++connection.calls > options_.calls_a_connection) {
      connection.calls = 1;
      connection.channel = MakeChannel(call.target);
    }
    channel = connection.channel;
  }
  Start(channel, std::move(call), /*lost_connections=*/0);
}

std::shared_ptr<grpc::Channel> MutationCaller::MakeChannel(Target target) const {
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  arguments.SetInt(GRPC_ARG_ENABLE_RETRIES, 0);
  arguments.SetMaxReceiveMessageSize(-1);
  return grpc::CreateCustomChannel(options_.addresses[static_cast<size_t>(target)],
                                   grpc::InsecureChannelCredentials(), arguments);
}

void MutationCaller::Start(const std::shared_ptr<grpc::Channel>& channel, MutatedCall call,
                           int lost_connections) {
  auto started = std::make_shared<Call>(*this, channel, std::move(call), lost_connections);
  {
    std::lock_guard<std::mutex> lock(mutex_);
    calls_.insert(started);
  }
  started->Start();
}

void MutationCaller::WaitForAll() {
  std::unique_lock<std::mutex> lock(mutex_);
  changed_.wait(lock, [this] { return calls_.empty(); });
}

void MutationCaller::Ended(const std::shared_ptr<Call>& call, const Outcome& outcome) {
  const bool lost = LostItsConnection(outcome);
  const bool again = lost && outcome.lost_connections < kMostLost;
  if (again) {
    // Before it counts as ended: nobody is to believe that all have.
    Start(MakeChannel(call->call().target), call->call(), outcome.lost_connections + 1);
  } else {
    std::lock_guard<std::mutex> lock(outcome_mutex_);
    Outcome last = outcome;
    last.lost = lost;
    on_outcome_(call->call(), last);
  }
  std::lock_guard<std::mutex> lock(mutex_);
  if (again) connections_[static_cast<size_t>(call->call().target)].channel = nullptr;
  calls_.erase(call);
  changed_.notify_all();
}

void MutationCaller::Watch() {
  std::unique_lock<std::mutex> lock(mutex_);
  while (!changed_.wait_for(lock, kWatchPeriod, [this] { return stop_; })) {
    // A copy: who leaves may end before it returns.
    const std::vector<std::shared_ptr<Call>> calls(calls_.begin(), calls_.end());
    lock.unlock();
    for (const auto& call : calls) call->LeaveIfDue(absl::Now());
    lock.lock();
  }
}

}  // namespace penstock
