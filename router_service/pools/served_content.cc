#include "router_service/pools/served_content.h"

#include <utility>

namespace penstock::router {
namespace {

// One that is not answered is asked again with the next load.
constexpr absl::Duration kAskTimeout = absl::Seconds(2);

}  // namespace

std::shared_ptr<ServedContent> ServedContent::Follow(std::shared_ptr<ReplicaConnection> connection,
                                                     const std::string& model,
                                                     const std::string& version,
                                                     std::function<void()> on_change) {
  std::shared_ptr<ServedContent> content(
      new ServedContent(std::move(connection), model, version, std::move(on_change)));
  content->connection_->WatchLoad(content, [to = content.get()](const v1::Load& load) {
    to->OnFingerprint(load.models_fingerprint());
  });
  return content;
}

ServedContent::ServedContent(std::shared_ptr<ReplicaConnection> connection, std::string model,
                             std::string version, std::function<void()> on_change)
    : connection_(std::move(connection)),
      model_(std::move(model)),
      version_(std::move(version)),
      on_change_(std::move(on_change)) {}

std::string ServedContent::digest() const {
  MutexLock lock(mutex_);
  return digest_;
}

void ServedContent::StartFrom(const ServedContent& before) {
  const std::string digest = before.digest();
  MutexLock lock(mutex_);
  if (!fingerprint_) digest_ = digest;
}

void ServedContent::OnFingerprint(uint64_t fingerprint) {
  {
    MutexLock lock(mutex_);
    if (asking_ || fingerprint_ == fingerprint) return;
    asking_ = true;
  }
  connection_->Describe(
      model_, version_, kAskTimeout,
      [weak = weak_from_this(), fingerprint](const absl::StatusOr<ReplicaFacts>& facts) {
        if (const auto self = weak.lock()) self->OnFacts(fingerprint, facts);
      });
}

void ServedContent::OnFacts(uint64_t fingerprint, const absl::StatusOr<ReplicaFacts>& facts) {
  {
    MutexLock lock(mutex_);
    asking_ = false;
    const absl::Status& answered = facts.ok() ? facts->described : facts.status();
    // Whoever does not know the question will not know it later; what else failed is asked again.
    const bool settled = answered.ok() || absl::IsNotFound(answered) ||
                         (facts.ok() && absl::IsUnimplemented(answered));
    if (!settled) return;
    fingerprint_ = fingerprint;
    // A model that is not there has no content: what it was last holds until it is back.
    if (!facts.ok() || !facts->description) return;
    if (digest_ == facts->description->content_digest()) return;
    digest_ = facts->description->content_digest();
  }
  on_change_();
}

}  // namespace penstock::router
