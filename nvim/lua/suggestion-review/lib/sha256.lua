--- SHA-256 (FIPS 180-4), HMAC (RFC 2104) and SHA-1 for any bytes, NUL included. `vim.fn.sha256` takes no NUL bytes,
--- and an HMAC's inner key has some.

local bit = require("bit")
local band, bor, bxor, bnot = bit.band, bit.bor, bit.bxor, bit.bnot
local ror, rol, rshift, tobit = bit.ror, bit.rol, bit.rshift, bit.tobit
local byte, char = string.byte, string.char

local M = {}

-- First 32 bits of the fractional parts of the cube roots of the first 64 primes.
local K = {
  0x428a2f98,
  0x71374491,
  0xb5c0fbcf,
  0xe9b5dba5,
  0x3956c25b,
  0x59f111f1,
  0x923f82a4,
  0xab1c5ed5,
  0xd807aa98,
  0x12835b01,
  0x243185be,
  0x550c7dc3,
  0x72be5d74,
  0x80deb1fe,
  0x9bdc06a7,
  0xc19bf174,
  0xe49b69c1,
  0xefbe4786,
  0x0fc19dc6,
  0x240ca1cc,
  0x2de92c6f,
  0x4a7484aa,
  0x5cb0a9dc,
  0x76f988da,
  0x983e5152,
  0xa831c66d,
  0xb00327c8,
  0xbf597fc7,
  0xc6e00bf3,
  0xd5a79147,
  0x06ca6351,
  0x14292967,
  0x27b70a85,
  0x2e1b2138,
  0x4d2c6dfc,
  0x53380d13,
  0x650a7354,
  0x766a0abb,
  0x81c2c92e,
  0x92722c85,
  0xa2bfe8a1,
  0xa81a664b,
  0xc24b8b70,
  0xc76c51a3,
  0xd192e819,
  0xd6990624,
  0xf40e3585,
  0x106aa070,
  0x19a4c116,
  0x1e376c08,
  0x2748774c,
  0x34b0bcb5,
  0x391c0cb3,
  0x4ed8aa4a,
  0x5b9cca4f,
  0x682e6ff3,
  0x748f82ee,
  0x78a5636f,
  0x84c87814,
  0x8cc70208,
  0x90befffa,
  0xa4506ceb,
  0xbef9a3f7,
  0xc67178f2,
} -- stylua: ignore

---@param word integer
---@return string four bytes, most significant first
local function big_endian(word)
  return char(
    band(rshift(word, 24), 255),
    band(rshift(word, 16), 255),
    band(rshift(word, 8), 255),
    band(word, 255)
  )
end

--- Message with the padding both hashes share: 0x80, zeros, bit length as 64 bits.
---@param message string
---@return string
local function padded(message)
  local length = #message
  return message
    .. "\128"
    .. ("\0"):rep((55 - length) % 64)
    .. big_endian(tobit(math.floor(length / 0x20000000)))
    .. big_endian(tobit((length % 0x20000000) * 8))
end

---@param message string
---@return string raw 32 bytes
function M.raw(message)
  local text = padded(message)
  local h0, h1, h2, h3 = 0x6a09e667, tobit(0xbb67ae85), 0x3c6ef372, tobit(0xa54ff53a)
  local h4, h5, h6, h7 = 0x510e527f, tobit(0x9b05688c), 0x1f83d9ab, 0x5be0cd19
  local w = {}
  for at = 1, #text, 64 do
    for i = 0, 15 do
      local a, b, c, d = byte(text, at + i * 4, at + i * 4 + 3)
      w[i] = bor(bit.lshift(a, 24), bit.lshift(b, 16), bit.lshift(c, 8), d)
    end
    for i = 16, 63 do
      local x, y = w[i - 15], w[i - 2]
      local s0 = bxor(ror(x, 7), ror(x, 18), rshift(x, 3))
      local s1 = bxor(ror(y, 17), ror(y, 19), rshift(y, 10))
      w[i] = tobit(w[i - 16] + s0 + w[i - 7] + s1)
    end
    local a, b, c, d, e, f, g, h = h0, h1, h2, h3, h4, h5, h6, h7
    for i = 0, 63 do
      local s1 = bxor(ror(e, 6), ror(e, 11), ror(e, 25))
      local choice = bxor(band(e, f), band(bnot(e), g))
      local t1 = tobit(h + s1 + choice + K[i + 1] + w[i])
      local s0 = bxor(ror(a, 2), ror(a, 13), ror(a, 22))
      local majority = bxor(band(a, b), band(a, c), band(b, c))
      h, g, f, e, d, c, b, a = g, f, e, tobit(d + t1), c, b, a, tobit(t1 + s0 + majority)
    end
    h0, h1, h2, h3 = tobit(h0 + a), tobit(h1 + b), tobit(h2 + c), tobit(h3 + d)
    h4, h5, h6, h7 = tobit(h4 + e), tobit(h5 + f), tobit(h6 + g), tobit(h7 + h)
  end
  return big_endian(h0)
    .. big_endian(h1)
    .. big_endian(h2)
    .. big_endian(h3)
    .. big_endian(h4)
    .. big_endian(h5)
    .. big_endian(h6)
    .. big_endian(h7)
end

---@param raw string
---@return string lower-case hex
function M.to_hex(raw)
  return (raw:gsub(".", function(c)
    return ("%02x"):format(byte(c))
  end))
end

---@param message string
---@return string lower-case hex
function M.hex(message)
  return M.to_hex(M.raw(message))
end

---@param key string
---@param pad integer
local function xor_key(key, pad)
  local out = {}
  for i = 1, 64 do
    out[i] = char(bxor(byte(key, i) or 0, pad))
  end
  return table.concat(out)
end

--- HMAC-SHA256.
---@param key string
---@param message string
---@return string lower-case hex
function M.hmac(key, message)
  if #key > 64 then
    key = M.raw(key)
  end
  return M.hex(xor_key(key, 0x5c) .. M.raw(xor_key(key, 0x36) .. message))
end

--- SHA-1, which RFC 6455 asks for in the handshake and nothing else here uses.
---@param message string
---@return string raw 20 bytes
function M.sha1_raw(message)
  local text = padded(message)
  local h0, h1, h2, h3, h4 = 0x67452301, tobit(0xefcdab89), tobit(0x98badcfe), 0x10325476, tobit(0xc3d2e1f0)
  local w = {}
  for at = 1, #text, 64 do
    for i = 0, 15 do
      local a, b, c, d = byte(text, at + i * 4, at + i * 4 + 3)
      w[i] = bor(bit.lshift(a, 24), bit.lshift(b, 16), bit.lshift(c, 8), d)
    end
    for i = 16, 79 do
      w[i] = rol(bxor(w[i - 3], w[i - 8], w[i - 14], w[i - 16]), 1)
    end
    local a, b, c, d, e = h0, h1, h2, h3, h4
    for i = 0, 79 do
      local f, k
      if i < 20 then
        f, k = bxor(band(b, c), band(bnot(b), d)), 0x5a827999
      elseif i < 40 then
        f, k = bxor(b, c, d), 0x6ed9eba1
      elseif i < 60 then
        f, k = bxor(band(b, c), band(b, d), band(c, d)), 0x8f1bbcdc
      else
        f, k = bxor(b, c, d), 0xca62c1d6
      end
      e, d, c, b, a = d, c, rol(b, 30), a, tobit(rol(a, 5) + f + e + k + w[i])
    end
    h0, h1, h2, h3, h4 = tobit(h0 + a), tobit(h1 + b), tobit(h2 + c), tobit(h3 + d), tobit(h4 + e)
  end
  return big_endian(h0) .. big_endian(h1) .. big_endian(h2) .. big_endian(h3) .. big_endian(h4)
end

--- Compares without stopping at the first difference.
---@param a string
---@param b string
---@return boolean
function M.equal(a, b)
  if #a ~= #b then
    return false
  end
  local difference = 0
  for i = 1, #a do
    difference = bor(difference, bxor(byte(a, i), byte(b, i)))
  end
  return difference == 0
end

return M
