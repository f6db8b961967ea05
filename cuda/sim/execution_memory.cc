// Loads, stores, copies and atomics, at addresses that are checked. Memory is
// read and written when an instruction is issued, in one order: races do not
// show.

#include <algorithm>
#include <cstring>

#include "execution.h"
#include "memory.h"

namespace sim {

void Execution::Addresses(const Operand& o, Space space, u64* address) const {
  for (int l = 0; l < kLanes; ++l) {
    u64 sum = static_cast<u64>(o.offset);
    const bool is_pair =
        space != Space::kShared && (o.is_wide || o.uniform < 0);
    if (o.reg != kZeroRegister) {
      u64 value = w_.registers[o.reg][l];
      if (is_pair)
        value = Pair(w_.registers[o.reg][l], w_.registers[o.reg + 1][l]);
      sum += value * o.scale;
    }
    if (o.uniform >= 0 && o.uniform != kZeroUniform) {
      sum += space == Space::kShared
                 ? w_.uniforms[o.uniform]
                 : Pair(w_.uniforms[o.uniform], w_.uniforms[o.uniform + 1]);
    }
    address[l] =
        space == Space::kShared ? kSharedWindow + static_cast<u32>(sum) : sum;
  }
}

// Where a generic address leads.
u8* Execution::At(u64 address, int lane, int width) {
  const auto refuse = [&](const char* what) {
    Die("%s: address %llx, block %u, thread %d, %s at %x: %s", what,
        static_cast<unsigned long long>(address), w_.block->id,
        w_.index * kLanes + lane, at_.kernel.name.c_str(), in_.address,
        in_.text.c_str());
  };
  if (address % width != 0) refuse("misaligned");
  const u64 offset = address & 0xffffff;
  switch (WindowOf(address)) {
    case WindowOf(kSharedWindow):
      if (offset < SharedBegin() ||
          offset - SharedBegin() + width > w_.block->shared.size())
        refuse("beyond shared memory");
      return &w_.block->shared[offset - SharedBegin()];
    case WindowOf(kLocalWindow):
      if (offset + width > kLocalBytes) refuse("beyond local memory");
      w_.local.resize(kLanes * kLocalBytes, 0xcd);
      return &w_.local[lane * kLocalBytes + offset];
    default:
      if (!at_.memory->IsInBuffer(address, width))
        refuse("not within a buffer");
      return reinterpret_cast<u8*>(address);
  }
}

// What a register gets of a value of the instruction's width.
u32 Execution::Extended(u32 value) const {
  if (in_.width >= 4 || !in_.sign_extend) return value;
  const int unused = 32 - 8 * in_.width;
  return static_cast<u32>(static_cast<i32>(value << unused) >> unused);
}

Done Execution::LoadOrStore() {
  const bool is_store = in_.op == Op::kStore;
  const Operand& memory = in_.o[is_store ? 0 : 1];
  const Operand& data = in_.o[is_store ? 1 : 0];
  u64 address[kLanes];
  Addresses(memory, in_.space, address);
  const Done done =
      at_.memory->Access(address, lanes_, in_.width, is_store, t_);
  Lanes words[4] = {};
  const int count = std::max(1, in_.width / 4);
  for (int i = 0; is_store && i < count; ++i) {
    Operand word = data;
    if (data.kind == Kind::kRegister && data.reg != kZeroRegister)
      word.reg += i;
    words[i] = Raw(word);
  }
  for (int l = 0; l < kLanes; ++l) {
    if (!Has(lanes_, l)) continue;
    u8* const at = At(address[l], l, in_.width);
    if (in_.width < 4) {
      if (is_store) {
        std::memcpy(at, &words[0][l], in_.width);
      } else {
        std::memcpy(&words[0][l], at, in_.width);
        words[0][l] = Extended(words[0][l]);
      }
      continue;
    }
    for (int i = 0; i < count; ++i) {
      if (is_store) {
        std::memcpy(at + 4 * i, &words[i][l], 4);
      } else {
        std::memcpy(&words[i][l], at + 4 * i, 4);
      }
    }
  }
  for (int i = 0; !is_store && i < count; ++i) {
    Operand word = data;
    if (data.reg != kZeroRegister) word.reg += i;
    Set(word, words[i]);
  }
  return done;
}

// cp.async: [shared], [global]. The copy is there at once; its time is waited
// for at DEPBAR.
Done Execution::CopyToShared() {
  u64 to[kLanes], from[kLanes];
  Addresses(in_.o[0], Space::kShared, to);
  Addresses(in_.o[1], Space::kGeneric, from);
  const Done done = at_.memory->Access(from, lanes_, in_.width, false, t_);
  for (int l = 0; l < kLanes; ++l) {
    if (Has(lanes_, l))
      std::memcpy(At(to[l], l, in_.width), At(from[l], l, in_.width),
                  in_.width);
  }
  w_.uncommitted_copies = std::max(w_.uncommitted_copies, done.time);
  return done;
}

void Execution::CommitCopies() {
  w_.copies.push_back(std::max(w_.uncommitted_copies, t_));
  w_.uncommitted_copies = 0;
}

void Execution::AwaitCopies() {
  // SB0, n: until at most n commits are on their way.
  if (in_.text.find("SB0") == string::npos)
    Die("not done: %s", in_.text.c_str());
  const size_t left = in_.o[1].immediate;
  while (w_.copies.size() > left) {
    if (w_.copies.front() > w_.next) {
      w_.next = w_.copies.front();
      w_.next_reason = kL2;
    }
    w_.copies.pop_front();
  }
}

// [p,] d, [address], value; CAS: [p,] d, [address], compare, value. RED gives
// nothing back: [address], value. Of several lanes at one address, the lowest
// goes first.
Done Execution::Atomic() {
  const auto& o = in_.o;
  size_t memory = 0;
  while (o[memory].kind != Kind::kMemory) ++memory;
  u64 address[kLanes];
  Addresses(o[memory], in_.space, address);
  const Done access = at_.memory->Access(address, lanes_, in_.width, false, t_);
  const bool is_long = in_.width == 8,
             is_swap = in_.reduction == Reduction::kCompareAndSwap;
  const auto operand = [&](size_t i) {
    std::array<u64, kLanes> value;
    const Lanes low = Raw(o[i]), high = is_long ? Raw(o[i], true) : Lanes{};
    for (int l = 0; l < kLanes; ++l) value[l] = Pair(low[l], high[l]);
    return value;
  };
  const std::array<u64, kLanes> first = operand(memory + 1),
                                second = is_swap ? operand(memory + 2) : first;
  std::array<u64, kLanes> old = {};
  for (int l = 0; l < kLanes; ++l) {
    if (!Has(lanes_, l)) continue;
    u8* const at = At(address[l], l, in_.width);
    std::memcpy(&old[l], at, in_.width);
    u64 value;
    if (is_swap) {
      value = old[l] == first[l] ? second[l] : old[l];
    } else if (is_long) {
      value = Reduce(old[l], first[l]);
    } else {
      value = Reduce32(static_cast<u32>(old[l]), static_cast<u32>(first[l]));
    }
    std::memcpy(at, &value, in_.width);
    if (in_.says_whether) old[l] = old[l] == first[l];
  }
  if (memory > 0 && is_long) SetLong(memory - 1, [&](int l) { return old[l]; });
  if (memory > 0 && !is_long)
    SetInt(memory - 1, [&](int l) { return static_cast<u32>(old[l]); });
  return {t_ + TheGpu().atoms, access.reason};
}

// Registers that were spilled, and the stack.
Done Execution::Local() {
  const bool is_store = in_.op == Op::kStl;
  const Operand& memory = in_.o[is_store ? 0 : 1];
  const int reg = in_.o[is_store ? 1 : 0].reg;
  for (int l = 0; l < kLanes; ++l) {
    if (!Has(lanes_, l)) continue;
    const u32 base =
        memory.reg == kZeroRegister ? 0 : w_.registers[memory.reg][l];
    u8* const at =
        At(kLocalWindow + static_cast<u32>(base + memory.offset), l, in_.width);
    const int bytes = std::min(4, in_.width);
    for (int i = 0; 4 * i < in_.width; ++i) {
      u32 value = reg == kZeroRegister ? 0 : w_.registers[reg + i][l];
      if (is_store) {
        std::memcpy(at + 4 * i, &value, bytes);
      } else {
        value = 0;
        std::memcpy(&value, at + 4 * i, bytes);
        w_.registers[reg + i][l] = Extended(value);
      }
    }
  }
  return {t_ + TheGpu().l1, kL1};
}

}  // namespace sim
