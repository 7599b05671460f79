# frozen_string_literal: true

require_relative 'nodes'

# What can be wrong with a node's directory: each error names the file and the remedy.
class TestDirectory < Minitest::Test
  include Nodes

  def test_what_is_damaged_names_file_and_remedy
    damage = {
      'node.json' => ['{', '[]', '{}', '{"version":2}', '{"version":0}', '{"version":1,"name":"a b"}',
                      '{"version":1,"name":"m","attrs":8}', '{"version":1,"name":"m","endpoints":[1]}',
                      '{"version":1,"name":"m","registries":[{"sig":"x"}]}'],
      'sig.pem' => ['', 'no key', keys.sig.private_to_pem(OpenSSL::Cipher.new('aes-128-cbc'), 'p')],
      'cert.pem' => ['', "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", other_certificate]
    }
    damage.each do |file, contents|
      contents.each { |content| refuse_damaged(file, content) }
    end
  end

  def other_certificate
    der = Xlreg::Node.new(name: 'm0', keys: Xlreg::TestHelper.keys(1)).certificate
    OpenSSL::X509::Certificate.new(der).to_pem
  end

  def refuse_damaged(file, content)
    with_directory do |path|
      make(path).close
      File.write(File.join(path, file), content)
      error = assert_raises(Xlreg::NodeError, content) { Xlreg::Node.open(path) }
      assert_includes error.message, file
      assert_raises(Xlreg::NodeError) { Xlreg::Node.load(path) }
    end
  end

  def test_what_is_too_open_or_missing
    with_directory do |path|
      assert_raises(Xlreg::NoNodeError) { Xlreg::Node.open(path) }
      make(path).close
      File.chmod(0o640, File.join(path, 'comms.pem'))
      assert_match(/chmod 600/, assert_raises(Xlreg::NodeError) { Xlreg::Node.open(path) }.message)
      File.delete(File.join(path, 'comms.pem'))
      assert_match(/put the key there/, assert_raises(Xlreg::NodeError) { Xlreg::Node.open(path) }.message)
      File.chmod(0o770, path)
      assert_match(/chmod 700/, assert_raises(Xlreg::NodeError) { Xlreg::Node.open(path) }.message)
    end
  end

  def test_what_a_crash_left_is_removed
    with_directory do |path|
      make(path).close
      File.write(File.join(path, '.node.json.abc.tmp'), 'half')
      Xlreg::Node.open(path).close
      assert_empty Dir.glob('.*.tmp', base: path)
    end
  end

  # On a full disk the file, and the node, stay as they were.
  def test_a_failed_save_changes_nothing
    with_directory do |path|
      make(path) do |node|
        before = File.binread(File.join(path, 'node.json'))
        full = ->(*) { raise Errno::ENOSPC }
        Xlreg::AtomicFile.stub(:fill, full) do
          error = assert_raises(Xlreg::NodeError) { node.update_endpoints(['127.0.0.1:9']) }
          assert_match(/No space left/, error.message)
        end
        assert_equal ['127.0.0.1:7001'], node.endpoints.map(&:to_s)
        assert_equal before, File.binread(File.join(path, 'node.json'))
        assert_empty Dir.glob('.*.tmp', base: path)
      end
    end
  end

  # What was on disk before is on disk after a crash at any step of a write.
  def test_a_write_that_is_cut_short_leaves_the_old_file
    with_directory do |path|
      make(path) do |node|
        before = File.binread(File.join(path, 'node.json'))
        File.stub(:rename, ->(*) { raise Errno::EIO }) do
          assert_raises(Xlreg::NodeError) { node.update_registration(Xlreg::Registration.new(**REGISTRATION)) }
        end
        assert_equal [before, []], [File.binread(File.join(path, 'node.json')), node.registrations]
      end
    end
  end

  ENTRY = { 'sig' => REGISTRATION[:sig], 'id' => 'ab' * 20 }.freeze

  # Each: the file, its content, and words of the error besides the file's name.
  DAMAGES = {
    'an endless key' => ['sig.pem', 'a' * ((1 << 20) + 1), /bytes/],
    'an empty key' => ['comms.pem', '', /backup/],
    'half a key' => ['sig.pem', "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", /backup/],
    'a certificate that is none' => ['cert.pem', 'nonsense', /remove it/],
    'a record of a newer program' => ['node.json', '{"version":2,"name":"m0"}', /version 2.*newer program/],
    'a record without version' => ['node.json', '{"name":"m0"}', /no "version"/],
    'a record without a name' => ['node.json', '{"version":1}', /ill-formed name/],
    'a record not in UTF-8' => ['node.json', %({"version":1,"name":"m0","x":"\xFF"}), /UTF-8/],
    'a name that is a number' => ['node.json', '{"version":1,"name":7}', /name/],
    'unknown attrs' => ['node.json', '{"version":1,"name":"m0","attrs":8}', /attrs/],
    'attrs below nothing' => ['node.json', '{"version":1,"name":"m0","attrs":-1}', /attrs/],
    'a bad endpoint' => ['node.json', '{"version":1,"name":"m0","endpoints":["a:0"]}', /a:0/],
    'a registry without ID' => ['node.json', JSON.generate('version' => 1, 'name' => 'm0',
                                                           'registries' => [ENTRY.except('id')]),
                                /registries\[0\].*ill-formed ID/],
    'a registry twice' => ['node.json', JSON.generate('version' => 1, 'name' => 'm0', 'registries' => [ENTRY] * 2),
                           /registries\[1\].*twice/]
  }.freeze

  DAMAGES.each do |name, (file, content, words)|
    define_method("test_damage_by_#{name.tr(' ', '_')}") do
      with_directory do |path|
        make(path).close
        File.write(File.join(path, file), content)
        %i[open load].each do |read|
          error = assert_raises(Xlreg::NodeError) { Xlreg::Node.public_send(read, path) }
          assert_match(words, error.message)
          assert_includes error.message, File.join(path, file)
        end
      end
    end
  end

  def test_files_that_are_none
    %w[sig.pem cert.pem node.json].each do |file|
      with_directory do |path|
        make(path).close
        File.delete(File.join(path, file))
        Dir.mkdir(File.join(path, file), 0o700)
        error = assert_raises(Xlreg::NodeError, file) { Xlreg::Node.open(path) }
        assert_includes error.message, file
      end
    end
  end

  def test_where_there_is_no_node
    with_directory do |path|
      folder = File.dirname(path)
      [path, folder].product(%i[open load]).each do |where, read|
        assert_raises(Xlreg::NoNodeError) { Xlreg::Node.public_send(read, where) }
      end
      assert_empty Dir.children(folder) # no lock was left either
      assert_raises(Xlreg::NodeError) { Xlreg::Node.init(File.join(folder, 'other'), name: '7up') }
      File.write(path, '')
      assert_raises(Xlreg::NodeError) { Xlreg::Node.open(path) }
    end
  end
  # What a power cut leaves of a file that was new.
  ['', "\0" * 4096, " \n"].each_with_index do |content, i|
    define_method("test_an_empty_record_comes_back_#{i}") do
      with_directory do |path|
        make(path) { |node| node.update_registration(Xlreg::Registration.new(**REGISTRATION)) }
        record = File.join(path, 'node.json')
        File.write(record, content)
        loaded = Xlreg::Node.load(path)
        assert_equal ['m0', true, content], [loaded.name, loaded.recovered?, File.read(record)]
        Xlreg::Node.open(path) do |node|
          assert_equal ['m0', true, []], [node.name, node.recovered?, node.registrations]
          assert_equal keys.sig_key, node.keys.sig_key
        end
        Xlreg::Node.open(path) { |node| refute_predicate node, :recovered? }
      end
    end
  end

  # Only what the keys prove is believed.
  def test_an_empty_record_that_cannot_come_back
    other = Xlreg::Node.new(name: 'm9', keys: Xlreg::TestHelper.keys(1)).certificate
    { nil => /cert.pem is not there/, '' => /holds no certificate/,
      OpenSSL::X509::Certificate.new(other).to_pem => /not the sig key/ }.each do |certificate, reason|
      with_directory do |path|
        make(path).close
        File.write(File.join(path, 'node.json'), '')
        file = File.join(path, 'cert.pem')
        certificate ? File.write(file, certificate) : File.delete(file)
        error = assert_raises(Xlreg::NodeError) { Xlreg::Node.open(path) }
        assert_match(reason, error.message)
        assert_match(/node.json is empty, as after a power cut, .*from a backup, or remove it and make the node anew/,
                     error.message)
      end
    end
  end

  # The remedy that is named: keys that are there are taken, and the name of their certificate.
  def test_a_node_that_is_made_anew_has_its_name
    with_directory do |path|
      make(path).close
      File.delete(File.join(path, 'node.json'))
      Xlreg::Node.init(path) { |node| assert_equal ['m0', keys.sig_key], [node.name, node.keys.sig_key] }
      File.delete(File.join(path, 'node.json'))
      Xlreg::Node.ensure(path, name: 'other') { |node| assert_equal 'other', node.name }
    end
  end

  def test_a_record_that_makes_no_sense_names_the_remedy
    with_directory do |path|
      make(path).close
      File.write(File.join(path, 'node.json'), '{"version":1,')
      error = assert_raises(Xlreg::NodeError) { Xlreg::Node.open(path) }
      assert_match(/from a backup, or remove it and make the node anew/, error.message)
    end
  end

  # Its keys are the registry's alone, whichever of its files there are.
  def test_a_registry_is_no_node
    Dir.mktmpdir do |folder|
      data = File.join(folder, 'data')
      Xlreg::RegistryProcess.run(data: data, &:stop)
      [[], ['xlreg.db'], ['regCred.dat']].each do |files|
        FileUtils.rm_f(files.map { |file| File.join(data, file) })
        %i[open load ensure].each do |read|
          error = assert_raises(Xlreg::NodeError) { Xlreg::Node.public_send(read, data) }
          assert_match(/is the directory of a registry: use another one for a node/, error.message)
        end
      end
    end
  end

  def test_a_place_with_the_data_of_a_registry_is_no_place_for_a_node
    with_directory do |path|
      Dir.mkdir(path, 0o700)
      File.write(File.join(path, 'xlreg.db'), 'x')
      assert_raises(Xlreg::NodeError) { Xlreg::Node.init(path) }
      assert_equal ['xlreg.db'], Dir.children(path)
    end
  end

  # A copy of some registry's credentials is no registry.
  def test_credentials_beside_a_node_are_no_registry
    with_directory do |path|
      make(path).close
      with_registry { |registry| FileUtils.cp(registry.reg_cred, path) }
      Xlreg::Node.open(path) { |node| assert_equal 'm0', node.name }
    end
  end

  # Also for root, for whom what root did not make is somebody else's.
  def test_who_a_directory_and_its_files_belong_to
    assert_nil Xlreg::Directory.check_owner('x', 0, 1000)
    assert_nil Xlreg::Directory.check_owner('x', 1000, 1000)
    [[1000, 0], [1001, 1000]].each do |owner, own|
      error = assert_raises(Xlreg::NodeError) { Xlreg::Directory.check_owner('/there', owner, own) }
      assert_match(%r{/there belongs to another user \(uid #{owner}\).*chown #{own} /there}, error.message)
    end
  end

  ['', 'sig.pem', 'comms.pem', 'node.json', 'cert.pem'].each do |file|
    define_method("test_the_owner_of_#{file.empty? ? 'the directory' : file}_is_looked_at") do
      with_directory do |path|
        make(path).close
        next unless Process.uid.zero? # who alone can give a file away; the rest is above

        File.chown(4242, nil, File.join(path, file))
        error = assert_raises(Xlreg::NodeError) { Xlreg::Node.open(path) }
        assert_match(/belongs to another user \(uid 4242\)/, error.message)
      end
    end
  end

  # A new directory is on disk before anything in it counts.
  def test_the_parents_of_a_new_directory_are_synced
    with_directory do |path|
      deep = File.join(path, 'a', 'b')
      synced = []
      Xlreg::AtomicFile.stub(:sync, ->(folder) { synced << folder }) { Xlreg::AtomicFile.make_folder(deep, 0o700) }
      assert_equal [File.join(path, 'a'), path, File.dirname(path)], synced
      assert_equal 0o700, File.stat(deep).mode & 0o777
    end
  end
end
