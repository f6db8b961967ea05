// What every kernel is given: one structure, by value. The host's half is
// src/cuda/parameters.rs.

#ifndef CUDA_PARAMETERS_H_
#define CUDA_PARAMETERS_H_

// What the plan (src/cuda/plan.rs) must know of the kernels. It reads the
// numbers from these lines.

constexpr int kWarp = 32;
// Threads of a block, at most.
constexpr int kMostSearchThreads = 512;
constexpr int kMostProofThreads = 256;
// Columns that a thread can hold: in a search by a warp, in one by a block, and
// where a proof has to search.
constexpr int kColumnsOfWarpThread = 4;
constexpr int kColumnsOfBlockThread = 8;
constexpr int kColumnsOfProofThread = 32;
// Bytes: of the slots in which the warps of a block exchange values (Team), of
// a Node, and of a Match of float, of double and of DoubleDouble (solver.h).
constexpr int kExchangeBytes = 2048;
constexpr int kNodeBytes = 8;
constexpr int kSingleMatchBytes = 8;
constexpr int kDoubleMatchBytes = 16;
constexpr int kWideMatchBytes = 24;
// Column duals behind those of the last column.
constexpr int kColumnsBehind = 320;
// Numbers behind the lists of open rows (solver.h).
constexpr int kOpenRowCounts = 4;
// Bytes of a NearPair (prove.h), and how many there is room for, for each index
// of the longer side.
constexpr int kNearPairBytes = 16;
constexpr int kNearPairsPerIndex = 4;
// Numbers of Parameters::lines behind that of the user's last row.
constexpr int kLinesBehind = 16;

// A batch in device memory: the op's inputs and outputs. T is the type of
// costs; U is double where T is, else float.
struct DeviceBatch {
  const void* cost;               // T [problems, rows, cols]
  const unsigned char* row_mask;  // [problems, rows], or one flag for all; any
                                  // byte but 0 is true
  const unsigned char* col_mask;  // [problems, cols], or one flag for all
  const void* cost_limit;         // U [problems], or one limit for all
  void* total_cost;               // U [problems]
  int* row_to_col;                // [problems, rows]
  int* col_to_row;                // [problems, cols]
  void* row_duals;                // U [problems, rows]
  void* col_duals;                // U [problems, cols]
  int* status;                    // [problems]
  long long problems;
  long long rows;
  long long cols;
  int row_mask_is_uniform;    // 1: row_mask is one flag for all
  int col_mask_is_uniform;    // 1: col_mask is one flag for all
  int cost_limit_is_uniform;  // 1: cost_limit is one limit for all
  int maximize;               // 1: as if costs and limits were negated
};

enum Memory : long long {
  // The array is not needed.
  kNowhere = 0,
  kShared = 1,
  kWorkspace = 2,
};

// Where an array of a block lies.
struct Place {
  Memory memory;
  // From where the block's part of that memory begins: bytes, a multiple of 16.
  unsigned long long offset;
};

// Where a State (solver.h) lies. n is the longer side of the problems.
struct StatePlaces {
  Place nodes;      // Node [n]
  Place matches;    // Match<R> [n]
  Place col_duals;  // R [n + kColumnsBehind]
};

// What a kernel is given. Each launch has its own.
struct Parameters {
  DeviceBatch batch;
  unsigned char* workspace;                // aligned to 256 bytes
  unsigned long long workspace_per_block;  // a multiple of 256
  // Entries from a row of a copy of costs to the next: where its rows are the
  // batch's rows, and where they are the batch's columns.
  long long copy_stride;
  long long transposed_copy_stride;

  // A block's arrays.
  Place exchange;     // kExchangeBytes; not in a search by a warp
  StatePlaces state;  // R is float in a search, double in a proof
  Place open_rows;    // int [2 n + kOpenRowCounts]
  Place copy;  // of a problem's costs, if one may have to be made: float,
               // or double in a proof where T is
  // These are of proofs only.
  Place duals;             // double [n]
  Place next_duals;        // double [n]
  Place listed_duals;      // double [n]
  Place own_costs;         // double [n]
  Place lines;             // float [n + kLinesBehind]
  Place near_heads;        // int [n + 1]
  Place near_pairs;        // NearPair [kNearPairsPerIndex * n]
  StatePlaces wide_state;  // R is DoubleDouble
  Place wide_distances;    // DoubleDouble [n]
  Place wide_duals;        // DoubleDouble [n]
};

// The same numbers are in a test of src/cuda/parameters.rs.
static_assert(sizeof(DeviceBatch) == 120, "DeviceBatch");
static_assert(sizeof(Place) == 16, "Place");
static_assert(sizeof(StatePlaces) == 48, "StatePlaces");
static_assert(sizeof(Parameters) == 440, "Parameters");

#endif  // CUDA_PARAMETERS_H_
