#include "gateway/admission/admission_queue.h"

#include <algorithm>
#include <iterator>

namespace penstock::gateway {

AdmissionQueue::~AdmissionQueue() = default;

AdmissionQueue::Pushed AdmissionQueue::Push(Id id, const Place& place) {
  const uint32_t priority = std::min(place.priority, kPriorities - 1);
  Pushed pushed;
  if (size() >= most_) {
    if (by_length_.empty()) return pushed;
    size_t mine = 0;
    if (const auto pool = pools_.find(place.pool); pool != pools_.end()) {
      if (const auto lane = pool->second.lanes.find(priority); lane != pool->second.lanes.end()) {
        const auto flow = lane->second->flows.find(place.tenant);
        if (flow != lane->second->flows.end()) mine = flow->second->waiting.size();
      }
    }
    // The least urgent, and of these who has most waiting.
    const auto& [least_urgent, longest, number, flow] = *by_length_.rbegin();
    if (least_urgent < priority || (least_urgent == priority && longest <= mine + 1)) return pushed;
    const auto newest = std::prev(flow->waiting.end());
    pushed.pushed_out = *newest;
    Take(*flow, newest, /*served=*/false);
  }
  pushed.taken = true;
  auto pool = pools_.find(place.pool);
  if (pool == pools_.end()) {
    pool = pools_.emplace(std::string(place.pool), Pool()).first;
    pool->second.turn = next_order_++;
  }
  std::unique_ptr<Lane>& lane = pool->second.lanes[priority];
  if (lane == nullptr) {
    lane = std::make_unique<Lane>();
    lane->priority = priority;
    lane->pool = pool->first;
  }
  std::unique_ptr<Flow>& flow = lane->flows[place.tenant];
  if (flow == nullptr) {
    flow = std::make_unique<Flow>();
    flow->lane = lane.get();
    flow->tenant = std::string(place.tenant);
    flow->number = next_flow_++;
  }
  if (flow->waiting.empty()) {
    flow->round = std::max(flow->round, lane->round);
    flow->order = next_order_++;
    lane->turns.emplace(std::pair(flow->round, flow->order), flow.get());
  }
  Resize(*flow, 1);
  ++lane->waiting;
  ++pool->second.waiting;
  index_[id] = {flow.get(), flow->waiting.insert(flow->waiting.end(), id)};
  return pushed;
}

bool AdmissionQueue::Remove(Id id) {
  const auto found = index_.find(id);
  if (found == index_.end()) return false;
  Take(*found->second.flow, found->second.at, /*served=*/false);
  return true;
}

AdmissionQueue::Pools::const_iterator AdmissionQueue::Next(HasRoom has_room) const {
  auto best = pools_.end();
  for (auto pool = pools_.begin(); pool != pools_.end(); ++pool) {
    if (!has_room(pool->first)) continue;
    const auto key = [](const Pool& of) { return std::pair(of.lanes.begin()->first, of.turn); };
    if (best == pools_.end() || key(pool->second) < key(best->second)) best = pool;
  }
  return best;
}

bool AdmissionQueue::AnyFor(HasRoom has_room) const { return Next(has_room) != pools_.end(); }

AdmissionQueue::Id AdmissionQueue::Pop(HasRoom has_room) {
  const auto next = Next(has_room);
  if (next == pools_.end()) return 0;
  pools_.find(next->first)->second.turn = next_order_++;
  Lane& lane = *next->second.lanes.begin()->second;
  Flow& flow = *lane.turns.begin()->second;
  if (flow.round > lane.round) {
    lane.round = flow.round;
    ForgetIdle(lane);
  }
  const Id id = flow.waiting.front();
  Take(flow, flow.waiting.begin(), /*served=*/true);
  return id;
}

size_t AdmissionQueue::Ahead(const Place& place) const {
  const auto pool = pools_.find(place.pool);
  if (pool == pools_.end()) return 0;
  const uint32_t priority = std::min(place.priority, kPriorities - 1);
  size_t ahead = 0;
  for (const auto& [urgency, lane] : pool->second.lanes) {
    if (urgency > priority) break;
    if (urgency < priority) {
      ahead += lane->waiting;
      continue;
    }
    uint64_t round = lane->round;
    uint64_t order = next_order_;
    const Flow* mine = nullptr;
    if (const auto found = lane->flows.find(place.tenant); found != lane->flows.end()) {
      mine = found->second.get();
      const bool waits = !mine->waiting.empty();
      round = waits ? mine->round : std::max(round, mine->round);
      if (waits) order = mine->order;
      ahead += mine->waiting.size();
    }
    const uint64_t turn = round + (mine == nullptr ? 0 : mine->waiting.size());
    for (const auto& [at, flow] : lane->turns) {
      if (flow == mine || flow->round > turn) continue;
      // Flows keep their order from round to round: whose turn in a round came first comes first in
      // all, and who is a round ahead was served first in this one.
      const bool ties = flow->round > round || (flow->round == round && flow->order < order);
      ahead += std::min<uint64_t>(flow->waiting.size(), turn - flow->round + (ties ? 1 : 0));
    }
  }
  return ahead;
}

size_t AdmissionQueue::WaitingIn(absl::string_view pool) const {
  const auto found = pools_.find(pool);
  return found == pools_.end() ? 0 : found->second.waiting;
}

size_t AdmissionQueue::remembered() const {
  size_t count = 0;
  for (const auto& [name, pool] : pools_) {
    for (const auto& [priority, lane] : pool.lanes) count += lane->flows.size();
  }
  return count;
}

void AdmissionQueue::Resize(Flow& flow, int by) {
  const auto key = [&flow](size_t length) {
    return std::tuple(flow.lane->priority, length, flow.number, &flow);
  };
  const size_t length = flow.waiting.size();
  if (length > 0) by_length_.erase(key(length));
  if (by > 0 || length > 1) by_length_.insert(key(by > 0 ? length + 1 : length - 1));
}

void AdmissionQueue::Take(Flow& flow, std::list<Id>::iterator at, bool served) {
  Lane& lane = *flow.lane;
  const auto pool = pools_.find(lane.pool);
  Resize(flow, -1);
  index_.erase(*at);
  flow.waiting.erase(at);
  --lane.waiting;
  --pool->second.waiting;
  if (lane.waiting == 0) {
    // Nobody is left whom a memory of rounds would be fair to.
    const uint32_t priority = lane.priority;
    pool->second.lanes.erase(priority);
    if (pool->second.lanes.empty()) pools_.erase(pool);
    return;
  }
  if (!served && !flow.waiting.empty()) return;  // its turn is the next one's
  lane.turns.erase({flow.round, flow.order});
  if (served) ++flow.round;
  if (!flow.waiting.empty()) {
    flow.order = next_order_++;
    lane.turns.emplace(std::pair(flow.round, flow.order), &flow);
  } else if (flow.round <= lane.round) {
    lane.flows.erase(flow.tenant);
  } else if (lane.flows.size() - lane.turns.size() > kMaxRemembered) {
    ++lane.round;
    ForgetIdle(lane);
  }
}

void AdmissionQueue::ForgetIdle(Lane& lane) {
  absl::erase_if(lane.flows, [&lane](const auto& entry) {
    return entry.second->waiting.empty() && entry.second->round <= lane.round;
  });
}

}  // namespace penstock::gateway
