#include "router_service/recording/head_publisher.h"

#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "common/mutex.h"
#include "router_service/recording/chain/kept_heads.h"

namespace penstock::router {

class HeadPublisher::State : public std::enable_shared_from_this<State> {
 public:
  State(Store& store, const Clock& clock, std::function<void(const std::string&)> on_problem)
      : store_(store), clock_(clock), on_problem_(std::move(on_problem)) {}

  void HeadSynced(const LogHead& head) {
    MutexLock lock(mutex_);
    if (!first_.has_value()) first_ = head;
    latest_ = head;
  }

  // Begins to tell the latest head if it is time; `soon`: if it was not told yet.
  void Tell(bool soon) {
    const absl::Time now = clock_.Now();
    std::string log;
    {
      MutexLock lock(mutex_);
      if (!latest_.has_value() || under_way_) return;
      if (!soon && now < next_) return;
      if (told_ == latest_ && (soon || now < told_at_ + kAgain)) return;
      under_way_ = true;
      next_ = now + kEvery;
      if (!before_.has_value()) log = latest_->log;
    }
    if (log.empty()) return Write();
    store_.Get(KeptHeadsKey(log), now + kPatience,
               [self = shared_from_this()](const absl::StatusOr<std::optional<std::string>>& text) {
                 self->OnRead(text);
               });
  }

  // False: what is under way did not end in time.
  bool WaitUntilIdle(absl::Duration patience) {
    MutexLock lock(mutex_);
    while (under_way_) {
      if (!idle_.WaitFor(mutex_, patience)) return !under_way_;
    }
    return true;
  }

 private:
  void OnRead(const absl::StatusOr<std::optional<std::string>>& text) {
    std::string problem;
    {
      MutexLock lock(mutex_);
      if (!text.ok()) return End();
      size_t others = 0;
      std::vector<LogHead> kept =
          ParseKeptHeads(first_->log, text->has_value() ? **text : std::string(), others);
      if (const LogHead* promised = NotContinued(kept, *first_); promised != nullptr) {
        problem = absl::StrCat("log ", first_->log, " was cut: it goes on with record ",
                               first_->sequence, ", but by the store's heads record ",
                               promised->sequence, " was on the disk before");
      } else if (others > 0) {
        problem = absl::StrCat("log ", first_->log, ": ", others, " lines of ",
                               KeptHeadsKey(first_->log), " in the store are no heads of it");
      }
      before_ = HeadsBefore(std::move(kept), *first_);
    }
    if (!problem.empty() && on_problem_) on_problem_(problem);
    Write();
  }

  void Write() {
    std::vector<LogHead> heads;
    LogHead head;
    {
      MutexLock lock(mutex_);
      heads = *before_;
      head = *latest_;
      if (*first_ != head) heads.push_back(*first_);
    }
    heads.push_back(head);
    const std::string key = KeptHeadsKey(head.log);
    store_.Put(key, FormatKeptHeads(heads), kLife, clock_.Now() + kPatience,
               [self = shared_from_this(), head = std::move(head)](const absl::Status& status) {
                 self->OnWritten(head, status);
               });
  }

  void OnWritten(const LogHead& head, const absl::Status& status) {
    MutexLock lock(mutex_);
    if (status.ok()) {
      told_ = head;
      told_at_ = clock_.Now();
    }
    End();
  }

  void End() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    under_way_ = false;
    idle_.NotifyAll();
  }

  Store& store_;
  const Clock& clock_;
  const std::function<void(const std::string&)> on_problem_;
  Mutex mutex_;
  CondVar idle_;
  std::optional<LogHead> first_ ABSL_GUARDED_BY(mutex_);   // of this run
  std::optional<LogHead> latest_ ABSL_GUARDED_BY(mutex_);  // likewise; both or neither
  std::optional<std::vector<LogHead>> before_
      ABSL_GUARDED_BY(mutex_);  // of earlier runs, once read
  std::optional<LogHead> told_ ABSL_GUARDED_BY(mutex_);
  absl::Time told_at_ ABSL_GUARDED_BY(mutex_) = absl::InfinitePast();
  absl::Time next_ ABSL_GUARDED_BY(mutex_) = absl::InfinitePast();
  bool under_way_ ABSL_GUARDED_BY(mutex_) = false;
};

HeadPublisher::HeadPublisher(Store& store, const Clock& clock,
                             std::function<void(const std::string& problem)> on_problem)
    : state_(std::make_shared<State>(store, clock, std::move(on_problem))) {}

HeadPublisher::~HeadPublisher() {
  if (!state_->WaitUntilIdle(kPatience)) return;
  state_->Tell(/*soon=*/true);
  state_->WaitUntilIdle(kPatience);
}

void HeadPublisher::HeadSynced(const LogHead& head) { state_->HeadSynced(head); }

void HeadPublisher::Tick() { state_->Tell(/*soon=*/false); }

}  // namespace penstock::router
