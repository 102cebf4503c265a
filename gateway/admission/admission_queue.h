#pragma once

#include <cstddef>
#include <cstdint>
#include <list>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <tuple>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/functional/function_ref.h"
#include "absl/strings/string_view.h"

namespace penstock::gateway {

// Who waits for a turn, and whose turn it is: in each pool by priority, at one priority in turns
// between the tenants, and of one tenant in order of arrival. Bounded over all pools; where it is
// full, who has most waiting makes room for who has less.
//
// Turns are start-time fair queueing (Goyal, Vin, Cheng 1996) where every request costs one: a
// tenant's first request waits for the round that is being served, each later one for the round
// after the tenant's last. A round that a tenant was served in is remembered until it is over, so
// that coming back with one request at a time gains nothing. Not thread-safe.
class AdmissionQueue {
 public:
  static constexpr uint32_t kPriorities = 10;
  // Tenants without a waiting request that are remembered in one pool at one priority; beyond them
  // the round is taken to be over.
  static constexpr size_t kMaxRemembered = 1024;

  using Id = uint64_t;  // 0: nobody
  struct Place {
    absl::string_view pool;
    uint32_t priority = 0;  // 0 goes first; beyond the last it is the last
    absl::string_view tenant;
  };

  explicit AdmissionQueue(size_t most) : most_(most) {}
  ~AdmissionQueue();

  // Who waits goes on waiting, beyond `most` too.
  void SetMost(size_t most) { most_ = most; }
  size_t most() const { return most_; }

  struct Pushed {
    bool taken = false;
    Id pushed_out = 0;  // who had to leave for it
  };
  // `id` was not used before.
  Pushed Push(Id id, const Place& place);
  // False: it does not wait.
  bool Remove(Id id);

  // Of pools that have room, the most urgent request; pools whose first requests are equally urgent
  // take turns. 0: nobody.
  using HasRoom = absl::FunctionRef<bool(absl::string_view pool)>;
  Id Pop(HasRoom has_room);
  bool AnyFor(HasRoom has_room) const;

  // How many have their turn before one that comes here now, if nobody comes after it.
  size_t Ahead(const Place& place) const;

  size_t size() const { return index_.size(); }
  size_t WaitingIn(absl::string_view pool) const;
  // Tenants that are kept in mind, waiting or not.
  size_t remembered() const;

 private:
  struct Lane;
  // What waits of one tenant in a lane.
  struct Flow {
    Lane* lane = nullptr;
    std::string tenant;
    uint64_t number = 0;  // breaks ties, so that equal histories have equal ends
    uint64_t round = 0;   // of its first request
    uint64_t order = 0;   // among the flows of that round
    std::list<Id> waiting;
  };
  // Requests of one priority in one pool.
  struct Lane {
    uint32_t priority = 0;
    std::string pool;
    uint64_t round = 0;  // that is being served
    size_t waiting = 0;
    std::map<std::pair<uint64_t, uint64_t>, Flow*> turns;  // by round and order
    absl::flat_hash_map<std::string, std::unique_ptr<Flow>> flows;
  };
  struct Pool {
    std::map<uint32_t, std::unique_ptr<Lane>> lanes;  // those with somebody waiting
    size_t waiting = 0;
    uint64_t turn = 0;  // when it was served last, or began to wait
  };
  struct Waiting {
    Flow* flow = nullptr;
    std::list<Id>::iterator at;
  };
  using Pools = std::map<std::string, Pool, std::less<>>;

  Pools::const_iterator Next(HasRoom has_room) const;
  void Resize(Flow& flow, int by);
  // Takes one out; its flow, lane and pool go with the last.
  void Take(Flow& flow, std::list<Id>::iterator at, bool served);
  static void ForgetIdle(Lane& lane);

  size_t most_;
  uint64_t next_order_ = 1;
  uint64_t next_flow_ = 1;
  Pools pools_;  // those with somebody waiting
  absl::flat_hash_map<Id, Waiting> index_;
  std::set<std::tuple<uint32_t, size_t, uint64_t, Flow*>> by_length_;  // priority, waiting, number
};

}  // namespace penstock::gateway
