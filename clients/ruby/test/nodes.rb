# frozen_string_literal: true

require_relative 'real'

# Directories of nodes, for tests that want one.
module Nodes
  include Real

  REGISTRATION = { sig: "SHA256:#{'A' * 43}", name: 'xlReg', endpoints: ['a.example:1'],
                   id: Xlreg::NodeID.new('i' * 20) }.freeze
  V19 = Xlreg::Protocol::V19
  V20 = Xlreg::Protocol::V20

  def keys = Xlreg::TestHelper.keys(0)

  def with_directory
    Dir.mktmpdir { |folder| yield File.join(folder, 'n0') }
  end

  def make(path, **more, &)
    Xlreg::Node.init(path, name: 'm0', endpoints: ['127.0.0.1:7001'], **{ keys: keys }.merge(more), &)
  end
end
