#pragma once

#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

// Returns the status of `expr` from the enclosing function unless it is OK.
#define PENSTOCK_RETURN_IF_ERROR(expr)                     \
  do {                                                     \
    if (absl::Status status_ = (expr); !status_.ok()) {    \
      return status_;                                      \
    }                                                      \
  } while (false)

#define PENSTOCK_CONCAT_INNER(a, b) a##b
#define PENSTOCK_CONCAT(a, b) PENSTOCK_CONCAT_INNER(a, b)

// PENSTOCK_ASSIGN_OR_RETURN(auto x, F()): declares x from the StatusOr that F returns, or returns its status.
#define PENSTOCK_ASSIGN_OR_RETURN(lhs, expr) \
  PENSTOCK_ASSIGN_OR_RETURN_INNER(PENSTOCK_CONCAT(statusor_, __LINE__), lhs, expr)
#define PENSTOCK_ASSIGN_OR_RETURN_INNER(statusor, lhs, expr) \
  auto statusor = (expr);                                    \
  if (!statusor.ok()) return std::move(statusor).status();   \
  lhs = *std::move(statusor)
