# frozen_string_literal: true

require 'json'
require_relative 'helper'

# Reads docs/vectors.
module Vectors
  FOLDER = File.expand_path('../../../docs/vectors', __dir__)

  module_function

  # @return [Hash{String => Integer}] how many vectors there are in each class
  def index = JSON.parse(File.read(File.join(FOLDER, 'index.json'))).fetch('classes')

  # @return [Array<Hash>] the vectors of a class
  def load(kind) = Dir[File.join(FOLDER, kind, '*.json')].map { |path| JSON.parse(File.read(path)) }

  # @return [OpenSSL::PKey::RSA] one of the vectors' keys
  def key(name) = Xlreg::PrivateKey.parse(File.read(File.join(FOLDER, 'keys', "#{name}.pem")))

  # @return [Array<String>] members of a vector that hold bytes; those that are absent are empty
  def unhex(values, *names) = names.map { |name| [values[name].to_s].pack('H*') }
end
