#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <utility>

#include "tests/mutation/caller.h"

namespace penstock {

// What became of the calls: codes by target and RPC, and everything that may not be.
class OutcomeTable {
 public:
  void Add(const MutatedCall& call, const Outcome& outcome);

  uint64_t calls() const { return calls_; }
  // What must not have happened, with how to send the same call again; empty: nothing.
  const std::string& faults() const { return faults_; }
  // One line for each target and RPC.
  std::string Text() const;

 private:
  uint64_t calls_ = 0;
  uint64_t lost_connections_ = 0;
  uint64_t fault_count_ = 0;
  std::string faults_;
  // By target and RPC: calls by column.
  std::map<std::pair<std::string, std::string>, std::map<std::string, uint64_t>> cells_;
};

}  // namespace penstock
