#include "router_service/dispatch/explain/recorded_choice.h"

#include <optional>

#include "router_service/recording/choice_record.h"

namespace penstock::router {

void RecordChoice(const ExpertChoice& choice, uint64_t view, v1::ChoiceRecord& record) {
  if (record.score().empty()) WriteCandidates(choice.scored(), record);
  if (record.amounts().empty() && choice.amounts != nullptr) {
    WriteAmounts(*choice.amounts, record);
  }
  if (record.largest_j().empty() && choice.largest != nullptr) {
    WriteLargest(*choice.largest, record);
  }
  std::optional<uint32_t> first;
  if (record.has_first()) first = record.first();
  if (choice.first != first) {
    record.clear_choices();
    record.clear_first();
    if (choice.first) record.set_first(*choice.first);
  }
  v1::Choice& noted = *record.add_choices();
  noted.set_view(view);
  WriteLimits(choice.limits, noted);
  if (choice.amounts != nullptr) WriteTerms(choice.others, *noted.mutable_others());
  WriteSelection(choice.selection, choice.cascade, noted);
}

}  // namespace penstock::router
