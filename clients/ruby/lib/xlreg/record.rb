# frozen_string_literal: true

require 'json'
require 'time'

module Xlreg
  # What a node knows of one registry: how to tell and find it, and which ID it gave the node.
  class Registration
    # @return [String] the fingerprint of the registry's sig key, SHA256:…
    attr_reader :sig
    # @return [String] the registry's name; may be empty
    attr_reader :name
    # @return [Array<Endpoint>] where it was last
    attr_reader :endpoints
    # @return [NodeID] the node's ID there
    attr_reader :id
    # @return [String, nil] the fingerprint of the sig key that follows; nil if none is known
    attr_reader :next
    # @return [Time, nil] until when the old key vouches for the next one. After that it is known by the latter alone
    attr_reader :next_until
    # @return [Hash] members of node.json that others wrote; kept as they are
    # @api private
    attr_reader :extra

    # @param sig [String]
    # @param id [NodeID]
    # @param name [String]
    # @param endpoints [Array<String, Endpoint>]
    # @param succession [Array(String, Time), nil] the next key's fingerprint, and until when it is vouched for
    def initialize(sig:, id:, name: '', endpoints: [], succession: nil, extra: {})
      @sig = Fingerprint.normalize(sig)
      @name = name.empty? ? name : Name.check(name)
      @endpoints = Endpoint.all(endpoints)
      @id = id
      @next, @next_until = succession
      @next &&= Fingerprint.normalize(@next)
      @extra = extra
      freeze
    end

    # @return [Hash] what node.json says of it
    def to_h
      known = { 'sig' => sig, 'name' => name, 'endpoints' => endpoints.map(&:to_s), 'id' => id.to_s }
      self.next ? known.merge('next' => self.next, 'next_until' => Text.time(next_until)) : known
    end

    # @param other [Object]
    # @return [Boolean] whether both say the same; what others wrote does not count
    def ==(other) = other.is_a?(Registration) && other.to_h == to_h
    alias eql? ==

    # @return [Integer]
    def hash = to_h.hash

    # @api private
    def keeping(extra) = with(extra: extra)

    # @api private
    def with(**changes)
      Registration.new(**{ sig: sig, id: id, name: name, endpoints: endpoints, extra: extra,
                           succession: succession }.merge(changes))
    end

    # @return [Array(String, Time), nil] the next key, and until when it is vouched for
    # @api private
    def succession = self.next && [self.next, next_until]
  end

  # What node.json holds, the same in every language, and how it is read and written.
  # @api private
  Record = Struct.new(:name, :attrs, :endpoints, :registrations, :extra, keyword_init: true) do
    include Value

    def initialize(name:, attrs: 0, endpoints: [], registrations: [], extra: {})
      unknown = attrs & ~NodeAttrs::KNOWN
      raise FormatError, "attrs: unknown bits #{unknown}" unless unknown.zero?

      super(name: Name.check(name), attrs: attrs, endpoints: Endpoint.all(endpoints),
            registrations: registrations.dup.freeze, extra: extra)
    end

    # @param sig [String]
    # @return [Registration, nil] what is known of the registry with this fingerprint
    def find(sig)
      sig = Fingerprint.normalize(sig)
      registrations.find { |registration| registration.sig == sig }
    rescue FingerprintError
      nil
    end

    # @param registration [Registration]
    # @return [Record] with what it says of one registry replaced or added
    def keeping(registration)
      known = find(registration.sig)
      return with(registrations: [*registrations, registration]) unless known

      changed = registration.keeping(known.extra)
      with(registrations: registrations.map { |one| one.equal?(known) ? changed : one })
    end

    # @return [String] the content of node.json
    def encode
      known = { 'version' => RecordParser::VERSION, 'name' => name, 'attrs' => attrs,
                'endpoints' => endpoints.map(&:to_s),
                'registries' => registrations.map { |one| one.to_h.merge(one.extra.sort.to_h) } }
      "#{JSON.pretty_generate(known.merge(extra.sort.to_h))}\n"
    end
  end

  # Reads node.json.
  # @api private
  module RecordParser
    # The version that is written, and the highest that is read.
    VERSION = 1

    module_function

    # @param data [String]
    # @return [Record]
    # @raise [Error] it is none, or of a newer version
    def parse(data)
      text = data.dup.force_encoding(Encoding::UTF_8)
      raise NodeError, "not JSON: not in UTF-8: #{Directory::REMEDY}" unless text.valid_encoding?

      members = object(JSON.parse(text))
      check_version(members)
      fields = { name: take(members, 'name', String, ''), attrs: take(members, 'attrs', Integer, 0),
                 endpoints: texts(members, 'endpoints'),
                 registrations: registrations(take(members, 'registries', Array, [])) }
      Record.new(**fields, extra: members)
    rescue JSON::ParserError, EncodingError => e
      raise NodeError, "not JSON: #{e.message}: #{Directory::REMEDY}"
    end

    def object(value)
      return value.dup if value.is_a?(Hash)

      raise NodeError, 'not a JSON object'
    end

    def check_version(members)
      raise NodeError, 'no "version"' unless members.key?('version')

      version = take(members, 'version', Integer, 0)
      if version > VERSION
        raise NodeError, "version #{version} was written by a newer program, this one knows #{VERSION}: use the newer"
      end
      raise NodeError, "version #{version}: there is no such version" if version < VERSION
    end

    def registrations(entries)
      entries.each_with_index.with_object([]) do |(entry, i), found|
        Text.doing("registries[#{i}]") do
          one = registration(object(entry))
          raise NodeError, "#{one.sig} is there twice" if found.any? { |other| other.sig == one.sig }

          found << one
        end
      end
    end

    def registration(entry)
      fields = { sig: take(entry, 'sig', String, ''), name: take(entry, 'name', String, ''),
                 endpoints: texts(entry, 'endpoints'), id: NodeID.parse(take(entry, 'id', String, '')),
                 succession: succession(entry) }
      Registration.new(**fields, extra: entry)
    end

    def succession(entry)
      following = take(entry, 'next', String, '')
      till = take(entry, 'next_until', String, '')
      [following, Time.iso8601(till).utc] unless following.empty?
    rescue ArgumentError
      raise NodeError, 'next_until: want a time'
    end

    # Returns a member and takes it out, so that in the end only what nobody knew is left.
    def take(members, key, kind, default)
      value = members.delete(key)
      return default if value.nil?
      return value if value.is_a?(kind) && !(value.is_a?(Integer) && value.negative?)

      raise NodeError, "#{key}: want #{kind.name.downcase}"
    end

    def texts(members, key)
      take(members, key, Array, []).each { |text| raise NodeError, "#{key}: want texts" unless text.is_a?(String) }
    end
  end
end
