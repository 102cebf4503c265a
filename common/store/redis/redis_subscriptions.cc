#include "common/store/redis/redis_subscriptions.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"

namespace penstock {
namespace {

constexpr size_t kMostSubscriptions = 1024;

}  // namespace

class RedisSubscriptions::Subscription final : public StoreSubscription {
 public:
  Subscription(RedisSubscriptions& owner, std::shared_ptr<Subscriber> subscriber)
      : owner_(owner), subscriber_(std::move(subscriber)) {}
  ~Subscription() override {
    subscriber_->Close();
    owner_.Remove(subscriber_);
  }

 private:
  RedisSubscriptions& owner_;
  const std::shared_ptr<Subscriber> subscriber_;
};

RedisSubscriptions::~RedisSubscriptions() {
  loop_.Run([this] {
    link_.reset();
    channels_.clear();
  });
}

absl::StatusOr<std::unique_ptr<StoreSubscription>> RedisSubscriptions::Subscribe(
    absl::string_view channel, absl::AnyInvocable<void()> on_live,
    absl::AnyInvocable<void(absl::string_view message)> on_message) {
  {
    MutexLock lock(mutex_);
    if (subscriptions_ >= kMostSubscriptions) {
      return absl::ResourceExhaustedError(
          absl::StrCat("store: ", subscriptions_, " subscriptions already"));
    }
    ++subscriptions_;
  }
  auto subscriber =
      std::make_shared<Subscriber>(std::string(channel), std::move(on_live), std::move(on_message));
  loop_.Post([this, subscriber] { AddOnLoop(subscriber); });
  return std::make_unique<Subscription>(*this, std::move(subscriber));
}

void RedisSubscriptions::Remove(std::shared_ptr<Subscriber> subscriber) {
  {
    MutexLock lock(mutex_);
    --subscriptions_;
  }
  loop_.Post([this, subscriber = std::move(subscriber)] { RemoveOnLoop(subscriber); });
}

void RedisSubscriptions::AddOnLoop(std::shared_ptr<Subscriber> subscriber) {
  const std::string name = subscriber->channel();
  const auto [it, is_new] = channels_.try_emplace(name);
  Channel& channel = it->second;
  channel.subscribers.push_back(subscriber);
  if (!is_new) {
    if (channel.live) subscriber->Live();
    return;
  }
  channel.generation = next_generation_++;
  if (link_ == nullptr) return StartLink();
  if (link_->connection() != nullptr) SendSubscribe(name, channel.generation);
}

void RedisSubscriptions::RemoveOnLoop(const std::shared_ptr<Subscriber>& subscriber) {
  const auto it = channels_.find(subscriber->channel());
  if (it == channels_.end()) return;
  std::vector<std::shared_ptr<Subscriber>>& subscribers = it->second.subscribers;
  subscribers.erase(std::remove(subscribers.begin(), subscribers.end(), subscriber),
                    subscribers.end());
  if (!subscribers.empty()) return;
  channels_.erase(it);
  if (link_ != nullptr && link_->connection() != nullptr) {
    link_->connection()->Send({"UNSUBSCRIBE", absl::StrCat(address_.prefix, subscriber->channel())},
                              [](RedisReply) {});
  }
}

void RedisSubscriptions::StartLink() {
  link_ = std::make_unique<RedisLink>(
      loop_, clock_, address_, seed_,
      RedisLink::Events{.on_up =
                            [this](RedisConnection&) {
                              for (const auto& [name, channel] : channels_) {
                                SendSubscribe(name, channel.generation);
                              }
                            },
                        .on_down =
                            [this](const absl::Status& why) {
                              for (auto& [name, channel] : channels_) channel.live = false;
                              on_error_(why);
                            },
                        .on_message =
                            [this](absl::string_view channel, absl::string_view message) {
                              if (!absl::ConsumePrefix(&channel, address_.prefix)) return;
                              const auto it = channels_.find(std::string(channel));
                              if (it == channels_.end()) return;
                              // What callbacks add and remove is posted: the list stands still.
                              for (const auto& subscriber : it->second.subscribers) {
                                subscriber->Message(message);
                              }
                            }});
  link_->Start();
}

void RedisSubscriptions::SendSubscribe(const std::string& name, uint64_t generation) {
  link_->connection()->Send(
      {"SUBSCRIBE", absl::StrCat(address_.prefix, name)},
      [this, name, generation](RedisReply reply) { OnSubscribed(name, generation, reply); });
}

void RedisSubscriptions::OnSubscribed(const std::string& name, uint64_t generation,
                                      const RedisReply& reply) {
  if (const absl::Status status = RedisReplyStatus(reply); !status.ok()) return on_error_(status);
  const auto it = channels_.find(name);
  if (it == channels_.end() || it->second.generation != generation) return;
  it->second.live = true;
  for (const auto& subscriber : it->second.subscribers) subscriber->Live();
}

}  // namespace penstock
