#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "router_service/combining/domain_smoothing.h"

namespace penstock::router {

// What a general and an in-domain expert said of one request, distributions over all labels, and
// the right label.
struct DomainRow {
  std::vector<float> general, in_domain;
  size_t label = 0;
};

struct DomainAccuracy {
  double in_domain = 0, out_of_domain = 0;  // share right of the requests of either kind
  double HarmonicMean() const;
};

struct DomainSmoothingFit {
  DomainGate gate;
  size_t fitted_rows = 0, heldout_rows = 0;
  // On rows that the score was not fitted on. Temperature and threshold were chosen on them, which
  // is two numbers of 204.
  DomainAccuracy smoothed;
  DomainAccuracy general_alone, in_domain_alone;
  // Area under the curve of the two accuracies as the threshold moves, Chao et al. 2016.
  double area = 0;
};

// The score by logistic regression (label: in domain; C = 1) on every other row of each kind, then
// temperature out of {.1, .3, 1, 3} and threshold out of -2.5, -2.4 ... 2.5 by the harmonic mean of
// both accuracies on the others; of equals the first. Atzmon and Chechik 2019, arXiv:1812.09903.
// INVALID_ARGUMENT: a row that is no pair of distributions over the same labels, or fewer than two
// rows of either kind.
absl::StatusOr<DomainSmoothingFit> FitDomainSmoothing(absl::Span<const DomainRow> rows,
                                                      const LabelGroups& groups);

// JSON lines {"general": [...], "in_domain": [...], "label": 3}; plain or gzipped.
absl::StatusOr<std::vector<DomainRow>> ReadDomainRows(const std::string& path);

std::string FormatDomainSmoothingFit(const DomainSmoothingFit& fit);

}  // namespace penstock::router
