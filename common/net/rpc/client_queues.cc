#include "common/net/rpc/client_queues.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "common/net/rpc/completion_queues.h"

namespace penstock {
namespace {

std::shared_ptr<CompletionQueues> MakeQueues(int threads) {
  std::vector<std::unique_ptr<grpc::CompletionQueue>> queues;
  for (int i = 0; i < std::max(threads, 1); ++i) {
    queues.push_back(std::make_unique<grpc::CompletionQueue>());
  }
  return std::make_shared<CompletionQueues>(std::move(queues));
}

}  // namespace

ClientQueues::ClientQueues(int threads) : queues_(MakeQueues(threads)), owned_(true) {}

ClientQueues::ClientQueues(std::shared_ptr<CompletionQueues> queues)
    : queues_(std::move(queues)), owned_(false) {}

ClientQueues::~ClientQueues() {
  if (owned_) queues_->Shutdown();
}

}  // namespace penstock
